//! Handing a workspace's own keys out, sealed, to run a program with.
//!
//! The control plane never sees a key here either: the vault seals it to the caller's one-time public key. The audit
//! rows commit before a box leaves; if they cannot be written, the boxes are dropped.

use std::collections::BTreeMap;

use domain::policy::ByokRule;
use domain::record::ProviderKeyRecord;
use domain::{ProviderId, Timestamp};
use store::{AuditNote, WorkspaceScope};
use vault::Recipient;

use crate::api::key_view::{KeyState, Look, custom_base_url};
use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::ops::admission::known_provider;
use crate::ops::provider_keys::Holder;
use crate::ops::submission::note_refused;
use crate::state::ControlState;

/// What a release is called in the audit log.
const ACTION: &str = "provider_key.release";

/// What a caller wants handed out.
pub struct Wanted {
    /// The one-time public key, as the client wrote it.
    pub public_key: String,
    /// The providers whose keys are wanted; none: all that have one.
    pub providers: Option<Vec<String>>,
    /// Whether nobody between the client and this process can read or change the request.
    pub confidential: bool,
}

/// A key that leaves, sealed.
pub struct Released {
    /// The row, as it was before it left.
    pub record: ProviderKeyRecord,
    /// The variables that the provider's programs read.
    pub variables: Vec<String>,
    /// The box, in padded standard base64.
    pub sealed: String,
}

/// Why a provider's key stays although there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// It is bound to a base URL of its own, and a program would send it to the provider's.
    CustomBaseUrl,
    /// The registry names no variable for the provider.
    NoVariable,
}

impl Withheld {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::CustomBaseUrl, Self::NoVariable];

    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CustomBaseUrl => "custom_base_url",
            Self::NoVariable => "no_variable",
        }
    }
}

/// What leaves, and what stays.
#[derive(Default)]
pub struct Release {
    /// The keys that leave, one for each provider.
    pub keys: Vec<Released>,
    /// The providers whose keys stay.
    pub withheld: Vec<(ProviderId, Withheld)>,
}

/// Seals the workspace's own key for each provider to the caller: the enabled one that would serve first.
///
/// # Errors
/// `key_release_not_allowed`, with an audit row; `invalid_request` for a public key that is none; `unknown_provider`;
/// `too_many_attempts`; `conflict` when a key or what allows its release changed meanwhile; `unavailable`. Nothing
/// leaves then.
pub async fn release(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
    wanted: &Wanted,
) -> Result<Release, Problem> {
    let subject = format!("keys of {}", scope.workspace());
    state.releases.begin(&subject, call.now)?;
    let holder = Holder::workspace(&state.store, scope);
    if let Err(problem) = allowed(state, scope, wanted).await {
        if problem.code() != Code::KeyReleaseNotAllowed {
            return Err(problem);
        }
        let note = AuditNote {
            outcome: "refused",
            ..call.note(ACTION)
        };
        return Err(note_refused(state, call, &holder, &note, problem).await);
    }
    let recipient = Recipient::read(&wanted.public_key).ok_or_else(|| {
        let rule = "public_key must be an X25519 public key of 32 bytes in padded standard base64, and not of low order";
        Problem::field("public_key", rule)
    })?;
    let (leaving, withheld) = chosen(state, &holder, wanted).await?;
    let mut release = Release {
        keys: Vec::new(),
        withheld,
    };
    for (record, variables) in leaving {
        let sealed = sealed(state, &holder, &record, &recipient, call.now).await?;
        release.keys.push(Released {
            record,
            variables,
            sealed,
        });
    }
    let notes: Vec<_> = release.keys.iter().map(|it| noted(call, it)).collect();
    if !notes.is_empty() {
        holder.keys.note_released(&notes, call.now).await?;
    }
    Ok(release)
}

/// Whether keys may leave this workspace in this way.
async fn allowed(
    state: &ControlState,
    scope: &WorkspaceScope,
    wanted: &Wanted,
) -> Result<(), Problem> {
    let refused = |why: &'static str| Problem::new(Code::KeyReleaseNotAllowed).because(why);
    if !state.store.system().settings().await?.release_keys_allowed {
        return Err(refused("this instance does not let provider keys out")
            .advise("Ask an admin of the instance to set `release_keys_allowed`, or run without `--inject raw`."));
    }
    let policy = state.store.within(scope).policy().await?.policy;
    if !policy.release_keys {
        return Err(refused("the workspace does not let its provider keys out")
            .advise("Ask an admin of the workspace to set `release_keys` in its policy, or run without `--inject raw`."));
    }
    if policy.byok == ByokRule::Forbidden {
        return Err(refused("the workspace's policy forbids own keys"));
    }
    if !wanted.confidential {
        // Whoever can change the request can put a public key of their own into it.
        return Err(refused(
            "a key is released only over loopback or TLS, and this request came otherwise",
        )
        .advise("Reach the server over https, or on its own machine."));
    }
    Ok(())
}

/// The keys that leave, with the variables of their providers, and the providers whose keys stay.
type Chosen = (
    Vec<(ProviderKeyRecord, Vec<String>)>,
    Vec<(ProviderId, Withheld)>,
);

async fn chosen(
    state: &ControlState,
    holder: &Holder<'_>,
    wanted: &Wanted,
) -> Result<Chosen, Problem> {
    let named = wanted.providers.as_ref().map(|names| {
        let ids = names
            .iter()
            .map(|name| Ok(known_provider(state, name)?.id.clone()));
        ids.collect::<Result<Vec<ProviderId>, Problem>>()
    });
    let named = named.transpose()?;
    let look = Look::of(state, holder).await?;
    let mut records = holder.keys.list().await?;
    records.retain(|record| look.state(record) == KeyState::Active);
    // As calls meet them: fallbacks last, pools in their order and before keys of none.
    records.sort_by_key(|it| (it.fallback, it.level.is_none(), it.level, it.position));
    let mut first = BTreeMap::new();
    let mut withheld = BTreeMap::new();
    for record in records {
        let provider = record.context.provider.clone();
        if named.as_ref().is_some_and(|ids| !ids.contains(&provider))
            || first.contains_key(&provider)
        {
            continue;
        }
        let facts = state.registry.get(&provider);
        let variables = facts.map(|facts| facts.env.clone()).unwrap_or_default();
        if variables.is_empty() {
            withheld.insert(provider, Withheld::NoVariable);
        } else if custom_base_url(state, &record.context).is_some() {
            withheld.insert(provider, Withheld::CustomBaseUrl);
        } else {
            withheld.remove(&provider);
            first.insert(provider, (record, variables));
        }
    }
    Ok((
        first.into_values().collect(),
        withheld.into_iter().collect(),
    ))
}

async fn sealed(
    state: &ControlState,
    holder: &Holder<'_>,
    record: &ProviderKeyRecord,
    recipient: &Recipient,
    now: Timestamp,
) -> Result<String, Problem> {
    let data_key = holder.keys.data_key().await?;
    let data_key = data_key.ok_or_else(|| Problem::new(Code::Unavailable))?;
    let (envelope, context) = (&record.envelope, &record.context);
    let releaser = &state.releaser;
    Ok(releaser
        .release(envelope, context, &data_key, recipient, now)
        .await?)
}

/// What is noted of a key that leaves.
fn noted(call: &Call, released: &Released) -> (domain::ProviderKeyId, i64, AuditNote) {
    let context = &released.record.context;
    let note = AuditNote {
        provider: Some(context.provider.clone()),
        label: Some(released.record.label.clone()),
        ..call.note_on(ACTION, context.key)
    };
    (context.key, context.version, note)
}
