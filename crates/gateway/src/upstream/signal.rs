//! Whether a connection has something to do, for the task that drives it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// What a connection's driver wakes.
pub(super) struct Signal {
    /// Whether the driver was woken since it was last polled.
    woken: AtomicBool,
    /// Whether the task is at the connection now, and will see that by itself.
    attended: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Signal {
    /// The signal of a new connection, which is driven once at first.
    pub(super) fn new() -> Self {
        Self {
            woken: AtomicBool::new(true),
            attended: AtomicBool::new(false),
            task: Mutex::new(None),
        }
    }

    /// The task that this wakes turns to the connection.
    pub(super) fn attend(&self, task: &Waker) {
        self.attended.store(true, Ordering::SeqCst);
        let mut known = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *known {
            Some(known) => known.clone_from(task),
            None => *known = Some(task.clone()),
        }
    }

    /// Whether there is something to do, which is done now.
    pub(super) fn take(&self) -> bool {
        self.woken.swap(false, Ordering::SeqCst)
    }

    /// Whether there is something to do, which is left for now.
    pub(super) fn is_woken(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }

    /// The task turns to something else. Whether there is something left to do, of which nobody woke it.
    pub(super) fn leave(&self) -> bool {
        self.attended.store(false, Ordering::SeqCst);
        self.is_woken()
    }

    /// Nobody waits for the connection any more.
    pub(super) fn dismiss(&self) {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // In this order, and the other way round in `leave`: one of the two sees the other.
        self.woken.store(true, Ordering::SeqCst);
        if !self.attended.load(Ordering::SeqCst) {
            let known = self.task.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(task) = &*known {
                task.wake_by_ref();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Task(std::sync::atomic::AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_task_is_woken_only_while_it_is_elsewhere() {
        let signal = Arc::new(Signal::new());
        let driver = Waker::from(Arc::clone(&signal));
        let task = Arc::new(Task::default());
        let woken = || task.0.load(Ordering::SeqCst);
        assert!(signal.take(), "a new connection is driven");
        assert!(!signal.take());

        signal.attend(&Waker::from(Arc::clone(&task)));
        driver.wake_by_ref();
        assert_eq!(woken(), 0);
        assert!(signal.take());
        assert!(!signal.leave());

        driver.wake_by_ref();
        assert_eq!(woken(), 1);

        signal.attend(&Waker::from(Arc::clone(&task)));
        assert!(signal.leave(), "what came meanwhile is not lost");
    }
}
