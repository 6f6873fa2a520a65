//! The ways that were found for a caller's last calls, so that the next call of the same kind need not look for them.
//!
//! They depend on the caller's record, on the instance's and on what is asked for, and on nothing else: not on the time,
//! nor on how the keys fare. The caller's record owns them, so a change of its account drops them.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::way::Way;
use crate::endpoint::Call;
use crate::error::Failure;
use crate::snapshot::Instance;

/// Most ways one after the other that are kept at a time; a caller has few models that it uses at once.
const MOST: usize = 8;
/// Longer names, and more ways to a model, are not kept.
const MAX_NAME: usize = 128;
const MAX_WAYS: usize = 8;

/// What one caller's calls found.
#[derive(Default)]
pub(crate) struct Plans(Mutex<Vec<Plan>>);

struct Plan {
    /// The instance's rules that they follow.
    instance: Weak<Instance>,
    call: &'static Call,
    model: String,
    no_managed: bool,
    ways: Arc<[Way]>,
}

/// What ways are looked for: for a call of this model, `no_managed` if credits must not pay.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) instance: &'a Arc<Instance>,
    pub(crate) call: &'static Call,
    pub(crate) model: &'a str,
    pub(crate) no_managed: bool,
}

impl Plans {
    /// At most so many bytes, but for the texts of tenants, which their keys' records have as well.
    pub(crate) const BYTES: usize = MOST * (size_of::<Plan>() + MAX_NAME + 2 * size_of::<Way>());

    /// The ways that were found for this before, or else those that `find` finds. `None`: what is wanted is seldom wanted
    /// again.
    pub(crate) fn ways(
        &self,
        wanted: Option<Wanted<'_>>,
        find: impl FnOnce() -> Result<Vec<Way>, Failure>,
    ) -> Result<Arc<[Way]>, Failure> {
        if let Some(found) = wanted.and_then(|wanted| self.find(wanted)) {
            return Ok(found);
        }
        let ways = Arc::from(find()?);
        if let Some(wanted) = wanted {
            self.keep(wanted, &ways);
        }
        Ok(ways)
    }

    fn find(&self, wanted: Wanted<'_>) -> Option<Arc<[Way]>> {
        let plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = plans.iter().find(|plan| plan.answers(wanted))?;
        Some(Arc::clone(&plan.ways))
    }

    fn keep(&self, wanted: Wanted<'_>, ways: &Arc<[Way]>) {
        if wanted.model.len() > MAX_NAME || ways.len() > MAX_WAYS {
            return;
        }
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if plans.len() >= MOST {
            plans.remove(0);
        }
        plans.push(Plan {
            instance: Arc::downgrade(wanted.instance),
            call: wanted.call,
            model: wanted.model.to_owned(),
            no_managed: wanted.no_managed,
            ways: Arc::clone(ways),
        });
    }
}

impl Plan {
    fn answers(&self, wanted: Wanted<'_>) -> bool {
        // A weak reference keeps the address from being another instance's.
        std::ptr::eq(self.instance.as_ptr(), Arc::as_ptr(wanted.instance))
            && std::ptr::eq(self.call, wanted.call)
            && self.no_managed == wanted.no_managed
            && self.model == wanted.model
    }
}
