//! Stand-ins for what a test scripts, and the answer that it looks at.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use domain::record::{DataKeyRecord, KeyContext};
use domain::{Clock, ProviderKeyId, Random, Sources, Timestamp};
use serde_json::Value;
use vault::{BoxFuture, KeyProbe, ProbeFailure};

use super::As;
use crate::models::{CallFailure, ModelCall, ModelCalls, Remedy};

/// Answers probes from a script; when the script is over, every key is fine.
#[derive(Default)]
pub(super) struct ScriptedProbe {
    /// What it answers next.
    pub(super) script: Mutex<VecDeque<ProbeFailure>>,
    /// Which keys sleep, and until when.
    pub(super) sleeping: Mutex<HashMap<ProviderKeyId, Timestamp>>,
    /// How often it was asked.
    pub(super) asked: AtomicU64,
    /// What somebody else does while it is asked next.
    pub(super) meanwhile: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl KeyProbe for ScriptedProbe {
    fn probe<'a>(
        &'a self,
        _: &'a [u8],
        _: &'a KeyContext,
        _: &'a DataKeyRecord,
    ) -> BoxFuture<'a, Result<(), ProbeFailure>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let failure = self.script.lock().expect("no test panics here").pop_front();
        let meanwhile = self.meanwhile.lock().expect("no test panics here").take();
        Box::pin(async move {
            if let Some(meanwhile) = meanwhile {
                meanwhile.await;
            }
            failure.map_or(Ok(()), Err)
        })
    }

    fn sleeping_until(&self, key: ProviderKeyId, _: i64) -> Option<Timestamp> {
        let sleeping = self.sleeping.lock().expect("no test panics here");
        sleeping.get(&key).copied()
    }
}

/// A data plane that makes no call.
pub(super) struct NoModels;

impl ModelCalls for NoModels {
    fn call<'a>(&'a self, _: ModelCall<'a>) -> BoxFuture<'a, Result<bytes::Bytes, CallFailure>> {
        Box::pin(async {
            Err(CallFailure {
                code: "upstream_unreachable".to_owned(),
                message: "the provider cannot be reached".to_owned(),
                hint: "try the run again later".to_owned(),
                remedy: Remedy::Nothing,
            })
        })
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: http::HeaderMap,
    pub(super) text: String,
}

impl Answer {
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("the body is JSON")
    }

    /// The answer, if it has this status.
    #[track_caller]
    pub(super) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// The refusal, if it has this status and code.
    #[track_caller]
    pub(super) fn refused(self, status: u16, code: &str) -> Value {
        let body = self.expect(status).json();
        assert_eq!(body["code"], code, "{body}");
        body
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The session cookie that the answer sets.
    pub(super) fn cookie(&self) -> As {
        let cookie = self.header("set-cookie").expect("a cookie is set");
        let pair = cookie.split(';').next().expect("a pair");
        As::Cookie(pair.to_owned())
    }
}

/// A clock that the test moves, and numbers that only look random.
pub(super) fn sources(now_ms: &Arc<AtomicI64>) -> Sources {
    let now_ms = Arc::clone(now_ms);
    let counter = AtomicU64::new(1);
    Sources {
        clock: Clock::new(move || Timestamp::from_millis(now_ms.load(Ordering::SeqCst))),
        random: Random::new(move |bytes| {
            for chunk in bytes.chunks_mut(8) {
                // SplitMix64: every value once in a period of 2^64.
                let mut word = counter
                    .fetch_add(1, Ordering::SeqCst)
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15);
                word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                word ^= word >> 31;
                chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
            }
            Ok(())
        }),
    }
}
