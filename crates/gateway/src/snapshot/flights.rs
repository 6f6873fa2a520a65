//! One load for many who ask for the same thing at the same time.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

/// The loads that are under way. The map is locked for moments only, never while somebody waits.
pub(super) struct Flights<K, T>(Mutex<HashMap<K, Flight<T>>>);

struct Flight<T> {
    outcome: Arc<OnceCell<T>>,
    /// How many wait for it.
    aboard: usize,
}

/// Somebody's place. Dropping it forgets the flight when it is over or nobody waits any more.
struct Seat<'a, K: Hash + Eq, T> {
    flights: &'a Flights<K, T>,
    key: K,
    outcome: Arc<OnceCell<T>>,
}

impl<K: Hash + Eq + Copy, T: Clone> Flights<K, T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    /// What `load` returns, or what somebody's load for this key does that is under way. Nothing is kept
    /// after that. When the one who loads gives up, the next one who waits loads.
    pub(super) async fn join<F: Future<Output = T>>(
        &self,
        key: K,
        load: impl FnOnce() -> F + Send,
    ) -> T {
        let seat = self.board(key);
        seat.outcome.get_or_init(load).await.clone()
    }

    fn board(&self, key: K) -> Seat<'_, K, T> {
        let mut flights = self.lock();
        let flight = flights.entry(key).or_insert_with(|| Flight {
            outcome: Arc::new(OnceCell::new()),
            aboard: 0,
        });
        flight.aboard += 1;
        Seat {
            flights: self,
            key,
            outcome: Arc::clone(&flight.outcome),
        }
    }
}

impl<K: Hash + Eq, T> Flights<K, T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Flight<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq, T> Drop for Seat<'_, K, T> {
    fn drop(&mut self) {
        let mut flights = self.flights.lock();
        // Another flight may have begun for the key since this one was over.
        if let Some(flight) = flights.get_mut(&self.key)
            && Arc::ptr_eq(&flight.outcome, &self.outcome)
        {
            flight.aboard -= 1;
            if flight.aboard == 0 || self.outcome.initialized() {
                flights.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;
    use tokio::task::JoinSet;

    use super::*;

    /// Loads that take until they are let go, and are counted.
    struct Loads {
        flights: Flights<u8, usize>,
        begun: AtomicUsize,
        gate: Semaphore,
    }

    impl Loads {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                flights: Flights::new(),
                begun: AtomicUsize::new(0),
                gate: Semaphore::new(0),
            })
        }

        async fn get(self: Arc<Self>, key: u8) -> usize {
            let load = || async {
                let number = self.begun.fetch_add(1, Ordering::SeqCst);
                self.gate.acquire().await.expect("open").forget();
                number
            };
            self.flights.join(key, load).await
        }
    }

    /// Lets everything else run until it waits.
    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn those_who_ask_at_once_share_a_load_and_later_ones_do_not() {
        let loads = Loads::new();
        let mut asking = JoinSet::new();
        for _ in 0..50 {
            asking.spawn(Arc::clone(&loads).get(1));
        }
        asking.spawn(Arc::clone(&loads).get(2));
        settle().await;
        assert_eq!(loads.begun.load(Ordering::SeqCst), 2);
        loads.gate.add_permits(2);
        while let Some(outcome) = asking.join_next().await {
            outcome.expect("no panic");
        }
        assert_eq!(loads.begun.load(Ordering::SeqCst), 2);
        assert!(loads.flights.lock().is_empty());
        loads.gate.add_permits(1);
        assert_eq!(Arc::clone(&loads).get(1).await, 2);
        assert!(loads.flights.lock().is_empty());
    }

    #[tokio::test]
    async fn when_the_one_who_loads_gives_up_the_next_one_loads() {
        let loads = Loads::new();
        let first = tokio::spawn(Arc::clone(&loads).get(1));
        settle().await;
        let second = tokio::spawn(Arc::clone(&loads).get(1));
        settle().await;
        first.abort();
        settle().await;
        loads.gate.add_permits(1);
        assert_eq!(second.await.expect("no panic"), 1);
        assert!(loads.flights.lock().is_empty());
    }

    #[tokio::test]
    async fn a_load_that_nobody_waits_for_is_forgotten() {
        let loads = Loads::new();
        let only = tokio::spawn(Arc::clone(&loads).get(1));
        settle().await;
        assert_eq!(loads.flights.lock().len(), 1);
        only.abort();
        settle().await;
        assert!(loads.flights.lock().is_empty());
    }
}
