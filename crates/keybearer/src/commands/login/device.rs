//! Logging in with a code that a person approves elsewhere (after RFC 8628), and approving one.

use std::io::{BufRead, IsTerminal, stderr, stdin};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use domain::{Secret, Timestamp};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::client::Api;
use crate::commands::confirm;
use crate::failure::{Failure, Sort};
use crate::output::{Column, Out, Progress, tell};
use crate::sources;

const PATH: &str = "/api/v1/device-logins";
const FACTS: &[Column] = &[
    ("program", "/client"),
    ("address", "/address"),
    ("asked at", "/created_at"),
];
/// The longest wait between two questions, whatever the server says.
const MOST_S: u64 = 60;
/// How much longer to wait once the server says that it is asked too often (RFC 8628, 3.5).
const SLOWER_S: u64 = 5;

/// Shows a code and waits until somebody approves it; returns the credential of the session. Opens the page for it if
/// `may_open`, and somebody at a terminal says so.
pub(super) async fn wait(api: &mut Api, may_open: bool) -> anyhow::Result<Secret> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let client = format!("keybearer on {}", host.trim());
    let begun = api.post(PATH, &json!({ "client": client })).await?;
    let text = |field: &str| {
        let value = begun[field].as_str();
        value.with_context(|| format!("the server's answer lacks {field}"))
    };
    let code = text("user_code")?;
    let until: Timestamp = text("expires_at")?.parse().context("the server's answer")?;
    let mut interval = begun["interval_s"].as_u64().unwrap_or(5).clamp(1, MOST_S);
    tell(&format!("Your code is {code}"));
    tell(&format!(
        "Approve it in a browser: {}/console/device?code={code}",
        api.address()
    ));
    tell(&format!(
        "or where you are logged in already: keybearer login approve {code}"
    ));
    if may_open && let Some(browser) = browser() {
        offer(browser, format!("{}/console/device", api.address()));
    }
    let body = json!({ "device_code": text("device_code")? });
    let clock = sources::system();
    let mut progress = Progress::start();
    loop {
        let left_s = until.millis_since(clock.now()) / 1000;
        if left_s < 0 {
            return Err(Failure::new(Sort::Declined, "nobody approved the code in time").into());
        }
        let text = format!(
            "waiting for somebody to approve it, {} min left",
            left_s / 60 + 1
        );
        let pause = Duration::from_secs(interval);
        progress.wait(pause, &text).await;
        let taken = api.begin_session(&format!("{PATH}/session"), &body).await;
        match taken {
            Ok(session) => return Ok(session),
            Err(error) if Failure::has_code(&error, "authorization_pending") => {}
            Err(error) if Failure::has_code(&error, "slow_down") => {
                interval = (interval + SLOWER_S).min(MOST_S);
            }
            Err(error) => return Err(error),
        }
    }
}

/// The browser of a person at a terminal.
fn browser() -> Option<Browser> {
    let is_person = stdin().is_terminal() && stderr().is_terminal();
    is_person.then(Browser::here).flatten()
}

/// Opens the page as soon as somebody presses Enter; until then, and meanwhile, somebody may approve the code elsewhere. The
/// page is told no code: everybody on the machine can read a command line, and who takes the code first decides whose log-in
/// this becomes.
fn offer(browser: Browser, page: String) {
    tell("Press Enter to open the page here, and type the code there.");
    let handle = tokio::runtime::Handle::current();
    // No task of the runtime, whose end would wait for the key.
    std::thread::spawn(move || {
        let mut line = String::new();
        if stdin().lock().read_line(&mut line).is_ok_and(|it| it > 0) {
            handle.spawn(async move {
                if !browser.open(&page).await {
                    tell(&format!("No browser could be opened; go to {page}"));
                }
            });
        }
    });
}

/// Shows which program waits, asks, and approves it.
pub(super) async fn approve(
    api: &Api,
    code: &str,
    yes: bool,
    out: Out,
) -> anyhow::Result<ExitCode> {
    let path = path(code)?;
    let seen = api.get(&path).await?;
    if !out.is_json() {
        out.facts(&seen, FACTS);
    }
    let text = |field: &str| seen[field].as_str().unwrap_or("-").to_owned();
    let question = format!(
        "Let {:?} from {} log in as you? Only if you started it yourself, just now.",
        text("client"),
        text("address")
    );
    confirm(&question, yes)?;
    api.post(&format!("{path}/approve"), &json!({})).await?;
    out.done(
        &approved(seen),
        "Approved; it is logged in within a few seconds.",
    );
    Ok(ExitCode::SUCCESS)
}

fn approved(mut seen: Value) -> Value {
    seen["approved"] = json!(true);
    seen
}

pub(super) async fn refuse(api: &Api, code: &str, out: Out) -> anyhow::Result<ExitCode> {
    api.delete(&path(code)?).await?;
    out.done(&json!({ "refused": true }), "Refused.");
    Ok(ExitCode::SUCCESS)
}

/// The log-in's path; what cannot be a code names no other path.
fn path(code: &str) -> anyhow::Result<String> {
    let harmless = |char: char| char.is_ascii_alphanumeric() || char == '-';
    if code.is_empty() || !code.chars().all(harmless) {
        let message = "a code is eight letters, such as BCDF-GHJK";
        return Err(Failure::new(Sort::Missing, message).into());
    }
    Ok(format!("{PATH}/{code}"))
}
