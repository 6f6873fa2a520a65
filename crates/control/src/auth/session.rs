//! Sessions: a credential in a cookie, and its keyed hash in the store.

use domain::credential::{CredentialKind, is_well_formed, write};
use domain::{Secret, SessionId, Timestamp, UserId};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use store::{NewSession, StoreError};
use vault::HashPurpose;

use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::state::ControlState;

/// The `__Host-` prefix makes browsers insist on `Secure`, `Path=/` and no `Domain`.
pub const COOKIE_NAME: &str = "__Host-keybearer_session";
/// Sessions end 14 days after the log-in, whatever happens.
pub const LIFETIME_MS: i64 = 14 * 24 * 60 * 60 * 1000;
/// How much of `User-Agent` is kept to tell one's sessions apart.
const MAX_AGENT_CHARS: usize = 200;

/// Begins a session: its id, and the `Set-Cookie` value that carries its credential.
///
/// # Errors
/// `unavailable` when the store or the random source does not answer.
pub async fn begin(
    state: &ControlState,
    call: &Call,
    user: UserId,
    headers: &HeaderMap,
) -> Result<(SessionId, HeaderValue), Problem> {
    let (new, cookie) = draw(state, call, user, headers)?;
    let note = call.note_on("session.create", new.id);
    state
        .store
        .system()
        .create_session(&new, &note, call.now)
        .await?;
    Ok((new.id, cookie))
}

/// Begins a session for somebody whose password fits `verified_hash`, as [`begin`]; `None` where that is not the person's
/// password any more, or the person was suspended meanwhile.
///
/// # Errors
/// As [`begin`].
pub async fn begin_by_password(
    state: &ControlState,
    call: &Call,
    user: UserId,
    verified_hash: &str,
    headers: &HeaderMap,
) -> Result<Option<HeaderValue>, Problem> {
    let (new, cookie) = draw(state, call, user, headers)?;
    let note = call.note_on("session.create", new.id);
    let system = state.store.system();
    let begun = system.create_session_by_password(&new, verified_hash, &note, call.now);
    match begun.await {
        Ok(()) => Ok(Some(cookie)),
        Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A new session that is not stored yet, and the `Set-Cookie` value that carries its credential.
///
/// # Errors
/// `unavailable` when the random source does not answer.
pub fn draw(
    state: &ControlState,
    call: &Call,
    user: UserId,
    headers: &HeaderMap,
) -> Result<(NewSession, HeaderValue), Problem> {
    let credential = write(CredentialKind::Session, &state.sources.random.bytes()?);
    let new = NewSession {
        id: state.sources.id()?,
        hash: credential.expose(|bytes| state.hasher.hash(HashPurpose::Session, bytes)),
        user,
        expires_at: expiry(call.now),
        user_agent: agent(headers),
    };
    Ok((new, cookie(&credential)))
}

/// The `Set-Cookie` value that makes a browser forget the session.
pub fn forget() -> HeaderValue {
    let value = "__Host-keybearer_session=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0";
    HeaderValue::from_static(value)
}

/// The session credential among the cookies.
///
/// # Errors
/// `ambiguous_credentials` when there are two cookies of its name: one may have been planted by a
/// neighbour, and there is no telling which. `authentication_required` when it has not the form of one.
pub fn from_cookies(headers: &HeaderMap) -> Result<Option<Secret>, Problem> {
    let mut found = None;
    for header in headers.get_all(COOKIE) {
        for pair in header.as_bytes().split(|byte| *byte == b';') {
            let pair = pair.trim_ascii();
            let Some(value) = pair
                .strip_prefix(COOKIE_NAME.as_bytes())
                .and_then(|rest| rest.strip_prefix(b"="))
            else {
                continue;
            };
            if found.replace(value).is_some() {
                return Err(Problem::new(Code::AmbiguousCredentials));
            }
        }
    }
    let Some(value) = found else {
        return Ok(None);
    };
    let ours = std::str::from_utf8(value)
        .is_ok_and(|value| is_well_formed(CredentialKind::Session, value));
    if ours {
        Ok(Some(Secret::new(value.to_vec())))
    } else {
        Err(Problem::new(Code::AuthenticationRequired).because("the session cookie is not ours"))
    }
}

fn expiry(now: Timestamp) -> Timestamp {
    now.plus_millis(LIFETIME_MS)
}

fn cookie(credential: &Secret) -> HeaderValue {
    let mut value = credential.expose(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        let age_s = LIFETIME_MS / 1000;
        let cookie = format!(
            "{COOKIE_NAME}={text}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={age_s}"
        );
        HeaderValue::from_str(&cookie).expect("credentials are ASCII")
    });
    value.set_sensitive(true);
    value
}

/// What the browser calls itself, as one harmless line.
fn agent(headers: &HeaderMap) -> String {
    let agent = headers
        .get(http::header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    let printable = agent
        .unwrap_or_default()
        .chars()
        .filter(|char| !char.is_control());
    printable.take(MAX_AGENT_CHARS).collect()
}
