//! A call whose client has left.

use std::time::Duration;

use http_body_util::BodyExt;
use llm::format::{Metered, UsageTap};

use super::broken::learned;
use crate::settle::Settlement;
use crate::upstream::Answering;

/// What is left of it.
pub(super) struct Parting {
    pub(super) tap: Option<Box<dyn UsageTap>>,
    /// What was learned of all of it, if that was there.
    pub(super) metered: Option<Metered>,
    /// As in the [`Relay`](super::Relay).
    pub(super) answers: Option<u64>,
    pub(super) settlement: Settlement,
    pub(super) sent_bytes: u64,
}

/// How long, and how far, an answer that credits pay for is read after its client has left. A provider is to know within
/// 100 ms that nobody listens any more, and what stands right behind the last word comes with it.
const READ_ON_FOR: Duration = Duration::from_millis(80);
const READ_ON_BYTES: usize = 1024 * 1024;

impl Parting {
    /// Reads a little further. Who leaves after the last word has the whole answer, and what it cost, hidden
    /// reasoning too, stands in the report right behind it.
    pub(super) async fn read_on(mut self, mut upstream: Answering) {
        let reading = async {
            let mut left = READ_ON_BYTES;
            while let Some(Ok(frame)) = upstream.frame().await {
                let (Ok(data), Some(tap)) = (frame.into_data(), &mut self.tap) else {
                    continue;
                };
                tap.push(&data);
                match left.checked_sub(data.len()) {
                    Some(rest) => left = rest,
                    None => break,
                }
            }
        };
        // In time or not: what was learned counts.
        let _ = tokio::time::timeout(READ_ON_FOR, reading).await;
        self.end();
    }

    pub(super) fn end(self) {
        let learned = || self.tap.map(|tap| learned(tap, self.answers).0);
        let metered = self.metered.or_else(learned).unwrap_or_default();
        self.settlement.abandon(metered, self.sent_bytes);
    }
}
