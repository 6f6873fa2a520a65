//! The ways that were found for a caller's last calls, so that the next call of the same kind need not look for them.
//!
//! They depend on the caller's record, on the instance's and on what is asked for, and on nothing else: not on the time,
//! nor on how the keys fare. The caller's record owns them, so a change of its account drops them.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use domain::preset::PresetName;

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
    found: Found,
}

/// What a call is served by.
#[derive(Clone)]
pub(crate) struct Found {
    /// Never empty, and not ranked: what that goes by changes with each call.
    pub(crate) ways: Arc<[Way]>,
    /// The preset by which they were found, if it was one.
    pub(crate) preset: Option<PresetName>,
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
    pub(crate) const BYTES: usize =
        MOST * (size_of::<Plan>() + 2 * MAX_NAME + 2 * size_of::<Way>());

    /// What was found for this before, or else what `find` finds. `None`: what is wanted is seldom wanted
    /// again.
    pub(crate) fn found(
        &self,
        wanted: Option<Wanted<'_>>,
        find: impl FnOnce() -> Result<Found, Failure>,
    ) -> Result<Found, Failure> {
        if let Some(found) = wanted.and_then(|wanted| self.find(wanted)) {
            return Ok(found);
        }
        let found = find()?;
        if let Some(wanted) = wanted {
            self.keep(wanted, &found);
        }
        Ok(found)
    }

    fn find(&self, wanted: Wanted<'_>) -> Option<Found> {
        let plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = plans.iter().find(|plan| plan.answers(wanted))?;
        Some(plan.found.clone())
    }

    fn keep(&self, wanted: Wanted<'_>, found: &Found) {
        if wanted.model.len() > MAX_NAME || found.ways.len() > MAX_WAYS {
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
            found: found.clone(),
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
