//! What root finds of a key when it looks into the memory of the server.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::Fixture;

/// How often a text stands in what the process can write to. `None`: it cannot be looked at, as is right for everybody
/// but root.
fn copies(pid: u32, what: &[u8]) -> Option<usize> {
    let mut memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let mut found = 0;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else {
            continue;
        };
        let (Some((from, to)), true) = (range.split_once('-'), rights.starts_with("rw")) else {
            continue;
        };
        let address = |text| u64::from_str_radix(text, 16).expect("an address");
        let (from, to) = (address(from), address(to));
        // In pieces that overlap, since most of an arena is not there.
        const PIECE: u64 = 1 << 20;
        let mut at = from;
        while at < to {
            let length = (to - at).min(PIECE);
            let mut bytes = vec![0; usize::try_from(length).expect("short")];
            let read = memory
                .seek(SeekFrom::Start(at))
                .and_then(|_| memory.read(&mut bytes));
            let read = read.unwrap_or(0);
            found += memchr::memmem::find_iter(&bytes[..read], what).count();
            at += length;
        }
    }
    Some(found)
}

#[tokio::test]
async fn a_key_is_in_memory_no_longer_than_a_call_needs_it() {
    // T74
    let fixture = Fixture::start().await;
    let pid = fixture.app.pid();
    let key = fixture.with_openai_key().await;
    let copies = |what: &[u8]| copies(pid, what);
    let Some(after_submission) = copies(key.as_bytes()) else {
        return;
    };
    // The head of the probe's request was wiped when it was sent; sealed, the key is nowhere else.
    assert_eq!(after_submission, 0);
    for _ in 0..50 {
        fixture.chat("gpt-4o").await.expect(200);
    }
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..60 {
        let key = fixture.owner.key.clone();
        calls.spawn(async move {
            let call = crate::chat("gpt-4o");
            let answer = key.post("/v1/chat/completions", &call).await;
            answer.expect(200);
        });
    }
    while let Some(call) = calls.join_next().await {
        call.expect("served");
    }
    // What a call has beside the head is wiped when its answer is at its end, which the client may see first.
    assert!(fixture.provider.connections() > 1);
    let mut after_use = copies(key.as_bytes()).expect("root may look");
    for _ in 0..20 {
        if after_use == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        after_use = copies(key.as_bytes()).expect("root may look");
    }
    assert_eq!(after_use, 0);
    // In plain text it is also in the buffer of the connection that it came by.
    let plain = fixture.canary.openai_key();
    let path = fixture.path("/provider-keys");
    let body = serde_json::json!({"provider": "openai", "label": "plain", "key": plain});
    let session = &fixture.owner.person.session;
    session.post(&path, &body).await.expect(201);
    let after_plain = copies(plain.as_bytes()).expect("root may look");
    assert!(after_plain <= 1, "{after_plain}");
    // What it all hangs on is read once and wiped; only what was derived of it stays.
    let root = std::fs::read(fixture.app.data_dir().join("root.key")).expect("the root key");
    assert_eq!(copies(&root), Some(0));
    fixture.finish().await;
}

/// The resident memory of a process in KiB.
fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let figure = line.and_then(|line| line.split_whitespace().nth(1));
    figure.expect("a figure").parse().expect("a number")
}

#[tokio::test]
async fn memory_that_nobody_needs_any_more_is_given_back() {
    let fixture = Fixture::start().await;
    let pid = fixture.app.pid();
    // To check a password takes 19 MiB for a moment.
    let person = &fixture.owner.person;
    let body = serde_json::json!({"email": person.email, "password": person.password});
    let nobody = fixture.app.anonymous();
    // Looked at all the time: it may be given back as soon as it is free.
    let is_done = Arc::new(AtomicBool::new(false));
    let most = std::thread::spawn({
        let is_done = Arc::clone(&is_done);
        move || {
            let mut most = 0;
            while !is_done.load(Ordering::Relaxed) {
                most = most.max(resident_kib(pid));
                std::thread::sleep(Duration::from_millis(2));
            }
            most
        }
    });
    nobody.post("/api/v1/sessions", &body).await.expect(201);
    is_done.store(true, Ordering::Relaxed);
    let before = most.join().expect("it looks");
    let mut now = before;
    // Seven seconds. Sooner or later something else has it given back, too.
    for _ in 0..28 {
        now = resident_kib(pid);
        if now + 16 * 1024 <= before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    panic!("{now} KiB of {before} are resident");
}
