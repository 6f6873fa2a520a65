//! The sealing key: the pair to whose public half clients seal provider keys.

use domain::record::SealingKeyRecord;
use store::{Actor, AuditNote};
use vault::{IntakeError, KmsError, OpenError, ReleaseError, RotateError};

use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::state::ControlState;

/// The current pair, checked to be whole: a record that was edited in the database would make clients seal
/// to a stranger.
///
/// # Errors
/// `unavailable` when there is none yet or the KMS does not answer; `internal_error` when the record was changed.
pub async fn current(state: &ControlState) -> Result<SealingKeyRecord, Problem> {
    let record = state.store.system().active_sealing_key().await?;
    let record = record.ok_or_else(|| {
        Problem::new(Code::Unavailable).because("the instance has no sealing key yet")
    })?;
    state.intake.check_sealing_key(&record).await?;
    Ok(record)
}

/// Replaces the pair `replaces` (`None`: there is none yet) by a new one. The old private half is destroyed
/// in the same transaction; stored keys are not concerned, because they are no longer sealed.
///
/// # Errors
/// `conflict` when another process replaced it first.
pub async fn rotate(
    state: &ControlState,
    replaces: Option<&str>,
    actor: Actor,
    note: AuditNote,
) -> Result<SealingKeyRecord, Problem> {
    let lifetime_ms = state.config.sealing_key_lifetime_ms;
    let new = state.rotator.new_sealing_key(lifetime_ms).await?;
    let note = AuditNote {
        kek_id: Some(new.kek_id.clone()),
        ..note
    };
    let now = state.sources.now();
    let system = state.store.system().by(actor);
    system
        .activate_sealing_key(&new, replaces, &note, now)
        .await?;
    state.intake.forget_retired_sealing_key(&new.kek_id);
    tracing::info!(kek_id = %new.kek_id, "activated sealing key {}", new.kek_id);
    Ok(new)
}

/// Makes the first pair, or replaces one whose time is over. Does nothing when the current one is young, or
/// when another process was faster.
///
/// # Errors
/// As [`rotate`].
pub async fn rotate_if_due(state: &ControlState) -> Result<(), Problem> {
    let now = state.sources.now();
    let current = state.store.system().active_sealing_key().await?;
    let due = current.as_ref().is_none_or(|record| {
        // A shorter lifetime in the configuration holds for the pair that is active already.
        let age_ms = now.millis_since(record.created_at);
        record.expires_at <= now || age_ms >= state.config.sealing_key_lifetime_ms
    });
    if !due {
        return Ok(());
    }
    let call = Call {
        request: state.sources.id()?,
        now,
        peer: None,
        client: None,
    };
    let replaces = current.as_ref().map(|record| record.kek_id.as_str());
    let note = call.note("sealing_key.rotate");
    match rotate(state, replaces, Actor::System, note).await {
        Err(problem) if problem.code() == Code::Conflict => Ok(()),
        other => other.map(drop),
    }
}

/// The public key's id in groups of four, for people who compare it with what their client shows.
pub fn fingerprint(kek_id: &str) -> String {
    let groups: Vec<&str> = (0..kek_id.len())
        .step_by(4)
        .filter_map(|at| kek_id.get(at..(at + 4).min(kek_id.len())))
        .collect();
    groups.join(" ")
}

impl From<RotateError> for Problem {
    fn from(error: RotateError) -> Self {
        match error {
            RotateError::Integrity => Self::internal(&error),
            RotateError::Kms(ref kms) => from_kms(kms, &error),
            RotateError::Random(random) => random.into(),
        }
    }
}

impl From<ReleaseError> for Problem {
    fn from(error: ReleaseError) -> Self {
        match error {
            ReleaseError::NotOfAWorkspace => Self::new(Code::NotFound),
            ReleaseError::Open(OpenError::Integrity) => Self::internal(&error),
            ReleaseError::Open(OpenError::Kms(ref kms)) => from_kms(kms, &error),
            ReleaseError::Random(random) => random.into(),
        }
    }
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::StaleKek { current } => Self::new(Code::StaleKek).with("kek_id", current),
            IntakeError::Refused => Self::new(Code::InvalidSealedBox),
            IntakeError::InvalidKey(invalid) => {
                Self::new(Code::InvalidProviderKey).because(invalid.to_string())
            }
            IntakeError::Kms(ref kms) => from_kms(kms, &error),
            IntakeError::Random(random) => random.into(),
        }
    }
}

/// A KMS that does not answer is worth another try; a record that was changed is not.
fn from_kms(kms: &KmsError, error: &dyn std::error::Error) -> Problem {
    match kms {
        KmsError::Integrity => Problem::internal(error),
        _ => Problem::new(Code::Unavailable).caused_by(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_id_in_groups() {
        assert_eq!(fingerprint("0123456789abcdef"), "0123 4567 89ab cdef");
        assert_eq!(fingerprint("01234"), "0123 4");
        assert_eq!(fingerprint(""), "");
    }
}
