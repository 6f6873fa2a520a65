//! How many calls each API key makes at once, so that one client cannot take what serves all.

use std::sync::{Arc, Mutex, PoisonError};

use domain::{ApiKeyId, IdMap};

use crate::error::Failure;

/// The calls that run, by API key. In memory only, so each process counts for itself. Clones share it.
#[derive(Clone)]
pub(crate) struct Calls {
    /// The most for each key.
    most: usize,
    /// Only keys that make calls.
    running: Arc<Mutex<IdMap<ApiKeyId, usize>>>,
}

/// One call that runs, until it is dropped.
pub(crate) struct Running {
    calls: Calls,
    key: ApiKeyId,
}

impl Calls {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            running: Arc::default(),
        }
    }

    /// A call begins, or is refused.
    pub(crate) fn begin(&self, key: ApiKeyId) -> Result<Running, Failure> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let its = running.entry(key).or_default();
        if *its >= self.most {
            return Err(Failure::TooManyCalls { limit: self.most });
        }
        *its += 1;
        let calls = self.clone();
        Ok(Running { calls, key })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let running = &self.calls.running;
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(its) = running.get_mut(&self.key) {
            *its -= 1;
            if *its == 0 {
                running.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_calls_and_gets_them_back() {
        let calls = Calls::new(2);
        let [one, other] = [1, 2].map(|id| ApiKeyId::from_bytes([id; 16]));
        let first = calls.begin(one).expect("room");
        let second = calls.begin(one).expect("room");
        let refused = calls.begin(one).map(|_| ()).expect_err("no room");
        assert_eq!(
            (refused.status().as_u16(), refused.code()),
            (429, "too_many_calls")
        );
        let _others = calls.begin(other).expect("room of its own");
        drop(first);
        let third = calls.begin(one).expect("room again");
        drop((second, third));
        assert_eq!(calls.running.lock().expect("no panic").len(), 1);
    }
}
