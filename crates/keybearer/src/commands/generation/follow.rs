//! A run, followed by its events: each is the run as it is, so that a stream which broke off is taken up with the next.

use std::time::Duration;

use anyhow::Context;
use http::Method;
use llm::sse::Decoder;
use serde_json::Value;

use crate::client::Api;
use crate::failure::{Failure, Sort};
use crate::output::{Out, say};

/// The pause before a stream that ended before the run is opened again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How often in a row it may bring nothing because of the server, or of what lies before it.
const MAX_FAILED: u32 = 5;

/// Shows each step that changes until the run has ended, and gives the run back.
pub(super) async fn until_it_ends(api: &Api, path: &str, out: Out) -> anyhow::Result<Value> {
    let events = format!("{path}/events");
    let mut shown = Shown::default();
    let mut failed = 0;
    loop {
        let read = read(api, &events, |run| {
            failed = 0;
            shown.show(run, out);
        });
        match read.await {
            Ok(Some(run)) => return Ok(run),
            Ok(None) => {}
            Err(error) => {
                failed += 1;
                // A server that starts again goes on with the run.
                if failed == MAX_FAILED || Failure::sort_of(&error) != Sort::Unreachable {
                    return Err(error);
                }
            }
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Reads one stream. `Some`: it came to the run's end.
async fn read(
    api: &Api,
    events: &str,
    mut on_run: impl FnMut(&Value),
) -> anyhow::Result<Option<Value>> {
    let mut response = api.exchange(Method::GET, events, None).await?;
    if !response.status().is_success() {
        return Err(api.refusal(response).await);
    }
    let mut decoder = Decoder::new();
    let mut ended = None;
    while let Some(piece) = response.chunk().await.map_err(|error| api.cut(error))? {
        let pushed = decoder.push(&piece, |event| {
            let Ok(run) = serde_json::from_slice::<Value>(event.data) else {
                return;
            };
            on_run(&run);
            if !matches!(run["status"].as_str(), Some("pending" | "running")) {
                ended = Some(run);
            }
        });
        pushed.context("the run's events")?;
        if ended.is_some() {
            break;
        }
    }
    Ok(ended)
}

/// The steps as they were last shown.
#[derive(Default)]
struct Shown(Vec<String>);

impl Shown {
    fn show(&mut self, run: &Value, out: Out) {
        let steps = run["steps"].as_array().map_or(&[][..], Vec::as_slice);
        for (at, step) in steps.iter().enumerate() {
            let text = |field: &str| step[field].as_str().unwrap_or("-");
            let line = format!(
                "{} {}: {} ({}/{})",
                at + 1,
                text("output_type"),
                text("status"),
                text("provider"),
                text("model"),
            );
            let known = self.0.get(at);
            if known != Some(&line) {
                if !out.is_json() && (known.is_some() || step["status"] != "pending") {
                    say(&line);
                }
                match self.0.get_mut(at) {
                    Some(known) => *known = line,
                    None => self.0.push(line),
                }
            }
        }
    }
}
