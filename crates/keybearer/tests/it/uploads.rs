//! Long uploads: they flow to the provider in bounded memory.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use testkit::app::provider_file;

use crate::Fixture;

const UPLOADS: usize = 4;
const FILE_BYTES: usize = 40 << 20;
/// So much the resident memory may grow, of the 160 MiB that pass.
const MAX_GROWTH_BYTES: usize = 24 << 20;
/// So much the provider takes before the gate opens.
const BEFORE_GATE: usize = 256 * 1024;

/// A provider that counts the bytes of bodies and keeps none.
struct Counting {
    url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Uploads of which so much came that the rest waits for the gate.
    waiting: AtomicUsize,
    open: AtomicBool,
    bytes: AtomicUsize,
}

impl Counting {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared::default());
        let counts = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&counts);
                thread::spawn(move || shared.converse(stream));
            }
        });
        Self { url, shared }
    }
}

impl Shared {
    fn converse(&self, mut stream: TcpStream) {
        let mut buffer = vec![0; 64 * 1024];
        let mut came = 0;
        loop {
            // Each head is shorter than the buffer, and no request follows before the answer.
            let (head, mut body) = loop {
                match stream.read(&mut buffer[came..]) {
                    Ok(0) | Err(_) => return,
                    Ok(read) => came += read,
                }
                let text = String::from_utf8_lossy(&buffer[..came]);
                if let Some(end) = text.find("\r\n\r\n") {
                    break (text[..end].to_ascii_lowercase(), came - end - 4);
                }
            };
            let length = head
                .lines()
                .find_map(|it| it.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |it| it.parse().expect("a length"));
            let is_upload = length >= FILE_BYTES;
            let mut waited = !is_upload;
            while body < length {
                if !waited && body >= BEFORE_GATE {
                    waited = true;
                    self.waiting.fetch_add(1, Ordering::SeqCst);
                    wait_until("the gate", || self.open.load(Ordering::SeqCst));
                }
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => return,
                    Ok(read) => body += read,
                }
            }
            if is_upload {
                self.bytes.fetch_add(body, Ordering::SeqCst);
            }
            came = 0;
            let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"text\":\"hi\"}";
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < until, "{what} did not come");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Sends `beginning`, lets the test know, sends the rest and reads the answer.
fn upload(url: &str, key: &str, file_bytes: usize, sent: &AtomicUsize) -> String {
    let begin = "--b0\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nopenai/whisper-1\r\n\
        --b0\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\n";
    let end = "\r\n--b0--\r\n";
    let host = url.trim_start_matches("http://");
    let length = begin.len() + file_bytes + end.len();
    let mut stream = TcpStream::connect(host).expect("a connection");
    let head = format!(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: multipart/form-data; boundary=b0\r\nContent-Length: {length}\r\n\r\n{begin}"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let piece = [7; 64 * 1024];
    for _ in 0..file_bytes / piece.len() {
        stream.write_all(&piece).expect("sent");
        sent.fetch_add(piece.len(), Ordering::SeqCst);
    }
    stream.write_all(end.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[tokio::test]
async fn four_long_uploads_at_once_take_a_few_megabytes_and_begin_before_they_end() {
    let provider = Counting::start();
    let file = provider_file("openai", &provider.url);
    let fixture = Fixture::start_with(|builder| {
        builder
            .provider_text("openai", &file)
            .env("KEYBEARER_MAX_BODY_BYTES", &(64 << 20).to_string())
    })
    .await;
    fixture.with_openai_key().await;
    let url = fixture.app.url();
    let key = fixture.owner.key.api_key().expect("an API key").to_owned();
    let sent = Arc::new(AtomicUsize::new(0));
    let start = |file_bytes| {
        let (url, key, sent) = (url.clone(), key.clone(), Arc::clone(&sent));
        thread::spawn(move || upload(&url, &key, file_bytes, &sent))
    };
    // What every call needs is there from now on.
    let answer = start(128 * 1024).join().expect("no panic");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let before = fixture.app.resident_bytes();
    let mut most = before;
    sent.store(0, Ordering::SeqCst);

    let uploads: Vec<_> = (0..UPLOADS).map(|_| start(FILE_BYTES)).collect();
    let shared = &provider.shared;
    wait_until("the beginning of each upload", || {
        shared.waiting.load(Ordering::SeqCst) == UPLOADS
    });
    // The clients send as much as anybody takes from them, and that is not all.
    let mut came = 0;
    wait_until("a stop of the clients", || {
        thread::sleep(Duration::from_millis(300));
        most = most.max(fixture.app.resident_bytes());
        let before = std::mem::replace(&mut came, sent.load(Ordering::SeqCst));
        came == before
    });
    assert!(came < UPLOADS * FILE_BYTES, "all was sent");
    shared.open.store(true, Ordering::SeqCst);
    wait_until("the ends of the uploads", || {
        most = most.max(fixture.app.resident_bytes());
        uploads.iter().all(thread::JoinHandle::is_finished)
    });
    for upload in uploads {
        let answer = upload.join().expect("no panic");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert!(shared.bytes.load(Ordering::SeqCst) >= UPLOADS * FILE_BYTES);
    assert!(
        most - before < MAX_GROWTH_BYTES,
        "it grew from {before} to {most} bytes"
    );
    let rows = fixture.app.usage(&fixture.owner, UPLOADS + 1).await;
    assert!(
        rows.iter()
            .all(|row| row["status"] == 200 && row["operation"] == "transcriptions"),
        "{rows:?}"
    );
    fixture.finish().await;
}
