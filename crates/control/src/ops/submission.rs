//! One submission of a provider key, from the box to the row.
//!
//! Nothing is stored unless the box opened, the provider accepted the key (where a probe is required) and
//! the row commits with its audit row. A sealed box is marked as taken before the provider is asked, whatever
//! comes of it. A refusal leaves an audit row, and the mark if the box was opened, and nothing else.

mod attempt;

use domain::price::PriceOverride;
use domain::record::ProviderKeyRecord;
use domain::{Label, ProviderKeyId, Secret};
use store::AuditNote;

use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::ops::admission::{admit, turned_away};
use crate::ops::provider_keys::{Holder, get};
use crate::state::ControlState;

use attempt::Attempt;

/// The key as the client sent it.
pub enum Material {
    /// In a sealed box.
    Sealed {
        /// The sealing key that the client used.
        kek_id: String,
        /// The box.
        ciphertext_b64: String,
    },
    /// In plain text.
    Plain {
        /// The key.
        key: Secret,
        /// Whether nobody between the client and this process could read it.
        confidential: bool,
    },
}

impl Material {
    /// The sealing key that the client names, if the text may stand in an audit row.
    pub(super) fn kek_id(&self) -> Option<String> {
        match self {
            Self::Sealed { kek_id, .. } if is_kek_id(kek_id) => Some(kek_id.clone()),
            Self::Sealed { .. } | Self::Plain { .. } => None,
        }
    }
}

/// A key that a client wants stored.
pub struct NewKey {
    /// The provider's id, as the client wrote it.
    pub provider: String,
    /// What the owner calls it.
    pub label: Label,
    /// Where it is to be sent, if not to the provider's own base URL.
    pub base_url: Option<String>,
    /// The pool that it belongs to; left out: as the key that it replaces, else as the instance says.
    pub level: Option<Option<i64>>,
    /// Whether it serves only after everything else failed; left out: as the key that it replaces, else not.
    pub fallback: Option<bool>,
    /// Prices that were negotiated for it; left out: as the key that it replaces, else none.
    pub prices: Option<Vec<PriceOverride>>,
    /// Whether it never serves and is copied into new workspaces instead.
    pub template: bool,
    /// The key.
    pub material: Material,
}

impl NewKey {
    /// A key of which no more is said than what it takes to store one.
    pub fn plain(provider: String, label: Label, material: Material) -> Self {
        Self {
            provider,
            label,
            base_url: None,
            level: None,
            fallback: None,
            prices: None,
            template: false,
            material,
        }
    }
}

/// What became of a submission.
pub struct Stored {
    /// The row.
    pub record: ProviderKeyRecord,
    /// Whether the label had no key before.
    pub created: bool,
    /// Whether the provider was asked about the key and accepted it.
    pub probed: bool,
    /// A sign that this is not the key that was meant; never a reason to refuse it.
    pub warning: Option<String>,
}

/// Stores a key under its label, or replaces the one that is there.
///
/// # Errors
/// Every code of `openapi::Submissions`; no key is stored then.
pub async fn submit(
    state: &ControlState,
    call: &Call,
    holder: &Holder<'_>,
    new: NewKey,
) -> Result<Stored, Problem> {
    let settings = state.store.system().settings().await?;
    let (provider, destination) = match admit(state, &settings, holder, &new).await {
        Ok(admitted) => admitted,
        Err(problem) => return Err(turned_away(state, call, holder, &new, problem).await),
    };
    let subject = format!("keys of {}", holder.owner);
    state.submissions.begin(&subject, call.now)?;
    let submission = Attempt {
        state,
        call,
        holder,
        provider,
        destination,
        settings,
        new,
    };
    let mut taken = None;
    let result = match submission.run(&mut taken).await {
        // Somebody replaced the key between our look and our write: once more, on top of theirs.
        Err(problem) if problem.code() == Code::Conflict => submission.run(&mut taken).await,
        result => result,
    };
    // A provider that cannot be reached counts: the base URL may be one that the client chose.
    let ours =
        |problem: &Problem| matches!(problem.code(), Code::Unavailable | Code::InternalError);
    if result.as_ref().err().is_none_or(ours) {
        state.submissions.forgive(&subject);
    }
    result
}

/// Replaces the value of a stored key. Provider, label and base URL stay.
///
/// # Errors
/// As [`submit`]; `not_found` when there is no such key.
pub async fn replace(
    state: &ControlState,
    call: &Call,
    holder: &Holder<'_>,
    id: ProviderKeyId,
    material: Material,
) -> Result<Stored, Problem> {
    let record = get(holder, id).await?;
    let provider = record.context.provider.to_string();
    let new = NewKey {
        base_url: Some(record.context.base_url),
        template: record.template,
        ..NewKey::plain(provider, record.label, material)
    };
    submit(state, call, holder, new).await
}

/// Writes an audit row of a refusal and returns the refusal, or why the row could not be written.
pub(super) async fn note_refused(
    state: &ControlState,
    call: &Call,
    holder: &Holder<'_>,
    note: &AuditNote,
    problem: Problem,
) -> Problem {
    let (account, workspace) = (holder.account, holder.workspace);
    let system = state.store.system();
    let written = system
        .note_refused(account, workspace, holder.actor, note, call.now)
        .await;
    match written {
        Ok(()) => problem,
        Err(error) => error.into(),
    }
}

/// Whether a client's text has the form of a sealing key's id, so that it may stand in an audit row.
fn is_kek_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
