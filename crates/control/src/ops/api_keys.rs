//! API keys: minted once, replaced by themselves.

use domain::access::{ApiScope, Role};
use domain::credential::{CredentialKind, SHOWN_PREFIX_CHARS, write};
use domain::policy::ModelName;
use domain::{ApiKeyId, Secret, SessionId, Timestamp};
use store::{ApiKeyRow, NewApiKey, StoreError, WorkspaceScope};
use vault::HashPurpose;

use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::state::ControlState;

/// What a client wants of a new API key.
pub struct Wanted {
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<ApiScope>,
    /// The model that serves when a call with it names none.
    pub default_model: Option<ModelName>,
    /// When it ends by itself.
    pub end: Option<End>,
}

/// When an API key ends, as its client says it.
#[derive(Clone, Copy)]
pub enum End {
    /// At this moment.
    At(Timestamp),
    /// So many seconds after the request, by the server's clock.
    InSeconds(u32),
}

impl End {
    fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::InSeconds(seconds) => now.plus_millis(i64::from(seconds) * 1000),
        }
    }
}

/// An API key in the only moment in which its text is known.
pub struct Minted {
    /// What is stored.
    pub row: ApiKeyRow,
    /// The key itself; shown once.
    pub text: Secret,
}

/// Mints an API key of the workspace, for the caller.
///
/// # Errors
/// `scope_not_held` when a scope goes beyond what the caller may do; `invalid_request` when it names none,
/// or an expiry that has passed or is later than that of the API key that mints; `limit_exceeded`.
pub async fn mint(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
    wanted: Wanted,
) -> Result<Minted, Problem> {
    let mut scopes = wanted.scopes;
    scopes.sort_unstable();
    scopes.dedup();
    if scopes.is_empty() {
        return Err(Problem::field(
            "scopes",
            "scopes must name at least one scope",
        ));
    }
    let beyond: Vec<&str> = scopes
        .iter()
        .filter(|wanted| !scope.grantable().contains(wanted))
        .map(|scope| scope.as_str())
        .collect();
    if !beyond.is_empty() {
        let detail = format!("the caller does not hold {}", beyond.join(", "));
        return Err(Problem::new(Code::ScopeNotHeld)
            .because(detail)
            .with("scopes", beyond));
    }
    let expires_at = wanted.end.map(|end| end.at(call.now));
    if expires_at.is_some_and(|at| at <= call.now) {
        return Err(in_the_past());
    }
    let within = state.store.within(scope);
    if let Some(parent) = scope.api_key() {
        let parent = within.api_key(parent).await?;
        let end = parent.and_then(|parent| parent.expires_at);
        if end.is_some_and(|end| expires_at.is_none_or(|at| at > end)) {
            let rule = "expires_at must be no later than that of the API key that mints";
            return Err(Problem::field("expires_at", rule));
        }
    }
    let (text, prefix, hash) = draw(state)?;
    let id: ApiKeyId = state.sources.id()?;
    let new = NewApiKey {
        id,
        user: scope.user(),
        name: wanted.name,
        prefix,
        hash,
        scopes,
        default_model: wanted.default_model,
        expires_at,
    };
    let note = call.note_on("api_key.create", id);
    let row = within.create_api_key(&new, &note, call.now).await?;
    Ok(Minted { row, text })
}

/// How long an API key for a page lives.
const PAGE_KEY_LIFE_MS: i64 = 15 * 60 * 1000;

/// Mints an API key that calls models for the page of a log-in: it ends with that.
///
/// # Errors
/// `authentication_required` when the log-in has ended in the meantime.
pub async fn mint_for_session(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
    session: SessionId,
) -> Result<(ApiKeyRow, Secret), Problem> {
    let (text, prefix, hash) = draw(state)?;
    let id: ApiKeyId = state.sources.id()?;
    let new = NewApiKey {
        id,
        user: scope.user(),
        name: "playground".to_owned(),
        prefix,
        hash,
        scopes: vec![ApiScope::InferenceInvoke],
        default_model: None,
        expires_at: Some(call.now.plus_millis(PAGE_KEY_LIFE_MS)),
    };
    let note = call.note_on("playground_key.create", id);
    let within = state.store.within(scope);
    let made = within.create_session_key(&new, session, &note, call.now);
    match made.await {
        Ok(row) => Ok((row, text)),
        Err(StoreError::NotFound) => Err(Problem::new(Code::AuthenticationRequired)),
        Err(other) => Err(other.into()),
    }
}

/// Replaces the API key that the caller has shown. The old text stops working with the answer.
///
/// # Errors
/// `api_key_required` for a logged-in person; `conflict` when the key with the keyed hash `shown` was replaced in
/// the meantime.
pub async fn rotate_self(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
    shown: Option<[u8; 32]>,
) -> Result<Minted, Problem> {
    let (Some(key), Some(shown)) = (scope.api_key(), shown) else {
        return Err(Problem::new(Code::ApiKeyRequired));
    };
    let (text, prefix, hash) = draw(state)?;
    let note = call.note_on("api_key.rotate", key);
    let within = state.store.within(scope);
    within
        .replace_api_key_hash(key, &shown, (&hash, &prefix), &note, call.now)
        .await?;
    let row = within.api_key(key).await?;
    let row = row.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok(Minted { row, text })
}

/// Revokes an API key of the workspace with all that it minted: the caller's own, or as an admin anybody's.
///
/// # Errors
/// `not_found`; `permission_denied` for another's when the caller is no admin.
pub async fn revoke(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
    id: ApiKeyId,
) -> Result<(), Problem> {
    reach(state, scope, id).await?;
    let note = call.note_on("api_key.revoke", id);
    let within = state.store.within(scope);
    within.revoke_api_key(id, &note, call.now).await?;
    Ok(())
}

/// Moves the end of an API key that ends by itself and has not ended: the caller's own, or as an admin anybody's.
///
/// # Errors
/// `not_found`; `permission_denied` for another's when the caller is no admin; `invalid_request` for a moment that
/// has passed; `conflict` when the key was revoked, has ended, never ends or ends later, or would outlive the API key
/// that minted it or the one that renews it.
pub async fn renew(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
    id: ApiKeyId,
    end: End,
) -> Result<ApiKeyRow, Problem> {
    reach(state, scope, id).await?;
    let end = end.at(call.now);
    if end <= call.now {
        return Err(in_the_past());
    }
    let note = call.note_on("api_key.renew", id);
    let within = state.store.within(scope);
    within.renew_api_key(id, end, &note, call.now).await?;
    reach(state, scope, id).await
}

/// Says which model serves when a call with an API key names none: the caller's own key, or as an admin anybody's.
///
/// # Errors
/// `not_found`; `permission_denied` for another's when the caller is no admin.
pub async fn set_default_model(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
    id: ApiKeyId,
    model: Option<&ModelName>,
) -> Result<ApiKeyRow, Problem> {
    let row = reach(state, scope, id).await?;
    if row.default_model.as_ref() == model {
        return Ok(row);
    }
    let note = call.note_on("api_key.set_default_model", id);
    let within = state.store.within(scope);
    within
        .set_api_key_default_model(id, model, &note, call.now)
        .await?;
    reach(state, scope, id).await
}

/// An API key that the caller may change: one's own, or as an admin anybody's.
async fn reach(
    state: &ControlState,
    scope: &WorkspaceScope,
    id: ApiKeyId,
) -> Result<ApiKeyRow, Problem> {
    let row = state.store.within(scope).api_key(id).await?;
    let row = row.ok_or_else(|| Problem::new(Code::NotFound))?;
    if row.user != scope.user() && scope.role() < Role::Admin {
        return Err(Problem::denied("the role admin"));
    }
    Ok(row)
}

fn in_the_past() -> Problem {
    Problem::field("expires_at", "expires_at must lie in the future")
}

/// A new credential, what may be shown of it, and its keyed hash.
fn draw(state: &ControlState) -> Result<(Secret, String, [u8; 32]), Problem> {
    let text = write(CredentialKind::ApiKey, &state.sources.random.bytes()?);
    let prefix =
        text.expose(|bytes| String::from_utf8_lossy(&bytes[..SHOWN_PREFIX_CHARS]).into_owned());
    let hash = text.expose(|bytes| state.hasher.hash(HashPurpose::ApiKey, bytes));
    Ok((text, prefix, hash))
}
