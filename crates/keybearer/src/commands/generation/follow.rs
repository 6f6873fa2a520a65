//! A run, followed by its events: each is the run as it is, so that a stream which broke off is taken up with the next.

use std::time::Duration;

use http::Method;
use serde_json::Value;

use crate::client::Api;
use crate::output::{Out, say};

/// The pause before a stream that ended before the run is opened again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How often one may break off without an event in it.
const MAX_EMPTY: u32 = 5;
/// The longest event: the run with its prompt.
const MAX_EVENT_BYTES: usize = 256 * 1024;

/// Shows each step that changes until the run has ended, and gives the run back.
pub(super) async fn until_it_ends(api: &Api, path: &str, out: Out) -> anyhow::Result<Value> {
    let events = format!("{path}/events");
    let mut shown = Shown::default();
    let mut empty = 0;
    loop {
        let mut response = api.exchange(Method::GET, &events, None).await?;
        if !response.status().is_success() {
            return Err(api.refusal(response).await);
        }
        let mut lines = Lines::default();
        let mut cut = None;
        loop {
            match response.chunk().await {
                Ok(Some(piece)) => lines.take(&piece),
                Ok(None) => break,
                Err(error) => {
                    cut = Some(error);
                    break;
                }
            }
            while let Some(run) = lines.next_run() {
                empty = 0;
                shown.show(&run, out);
                if !matches!(run["status"].as_str(), Some("pending" | "running")) {
                    return Ok(run);
                }
            }
        }
        empty += 1;
        if let Some(error) = cut.filter(|_| empty >= MAX_EMPTY) {
            return Err(api.cut(error));
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
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

/// The events of a stream (WHATWG HTML, 9.2.6), of which each has its data in one line.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn take(&mut self, piece: &[u8]) {
        if self.0.len() + piece.len() > MAX_EVENT_BYTES {
            self.0.clear();
        }
        self.0.extend_from_slice(piece);
    }

    fn next_run(&mut self) -> Option<Value> {
        while let Some(end) = self.0.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.0.drain(..=end).collect();
            if let Some(data) = line.strip_prefix(b"data: ")
                && let Ok(run) = serde_json::from_slice(data)
            {
                return Some(run);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let stream =
            b"retry: 2000\n\nevent: run\nid: 1\ndata: {\"a\":1}\n\n: \n\ndata: {\"a\":2}\n\n";
        for length in 1..stream.len() {
            let mut lines = Lines::default();
            let mut runs = Vec::new();
            for piece in stream.chunks(length) {
                lines.take(piece);
                while let Some(run) = lines.next_run() {
                    runs.push(run["a"].as_i64());
                }
            }
            assert_eq!(runs, [Some(1), Some(2)], "pieces of {length}");
        }
    }
}
