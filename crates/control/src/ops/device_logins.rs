//! Log-ins of programs without a browser, which a person approves elsewhere; after RFC 8628.

use domain::credential::{CredentialKind, is_well_formed, write};
use domain::{Secret, Timestamp};
use http::{HeaderMap, HeaderValue};
use store::{DeviceLoginRow, NewDeviceLogin, StoreError, UserRow, UserScope};
use vault::HashPurpose;

use crate::auth::pace::Came;
pub use crate::auth::pace::INTERVAL_S;
use crate::auth::session;
use crate::auth::throttle::address_subject;
use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::state::ControlState;

/// A log-in can be approved and taken for ten minutes.
const LIFETIME_MS: i64 = 10 * 60 * 1000;
/// The letters of a person's code: none that are taken for others, and no vowels, so that no word comes of it
/// (RFC 8628, 6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// How many of them: 34 bits, which are guessed at only by people who are logged in, ten times in a quarter of an hour.
const USER_CODE_LETTERS: usize = 8;
/// What is kept of a program's name for itself.
const MAX_CLIENT_CHARS: usize = 100;

/// A log-in that has begun.
pub struct Begun {
    /// What the program shows when it asks.
    pub device_code: Secret,
    /// What the person types: `BCDF-GHJK`.
    pub user_code: String,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Begins a log-in of a program.
///
/// # Errors
/// `too_many_attempts` after twenty in a quarter of an hour from one address, or when too many wait in the whole
/// instance.
pub async fn begin(state: &ControlState, call: &Call, client: &str) -> Result<Begun, Problem> {
    let subject = call.client.map(address_subject);
    let subject = subject.as_deref().unwrap_or("an unknown address");
    state.device_logins.begin(subject, call.now)?;
    let device_code = write(CredentialKind::DeviceCode, &state.sources.random.bytes()?);
    let user_code = draw_user_code(state)?;
    let expires_at = call.now.plus_millis(LIFETIME_MS);
    let new = NewDeviceLogin {
        hash: device_code.expose(|bytes| state.hasher.hash(HashPurpose::DeviceCode, bytes)),
        user_hash: hash_of(state, &user_code),
        client: printable(client),
        address: call.client.map(|address| address.to_string()),
        expires_at,
    };
    let system = state.store.system();
    let begun = system.begin_device_login(&new, call.now).await;
    begun.map_err(|error| match error {
        StoreError::Conflict(_) => Problem::new(Code::TooManyAttempts).retry_after_s(60),
        error => error.into(),
    })?;
    Ok(Begun {
        device_code,
        user_code: format!("{}-{}", &user_code[..4], &user_code[4..]),
        expires_at,
    })
}

/// The log-in with this code that waits for somebody, so that a person can see what would be approved.
///
/// # Errors
/// `unknown_user_code`; `too_many_attempts` after ten wrong codes.
pub async fn look(
    state: &ControlState,
    call: &Call,
    scope: &UserScope,
    shown: &str,
) -> Result<DeviceLoginRow, Problem> {
    guessed(state, call, scope, shown).await.map(|(_, row)| row)
}

/// Lets the program with this code log in as the caller. Holds until the caller's own session ends.
///
/// # Errors
/// As [`look`].
pub async fn approve(
    state: &ControlState,
    call: &Call,
    scope: &UserScope,
    shown: &str,
) -> Result<(), Problem> {
    let (hash, _) = guessed(state, call, scope, shown).await?;
    let note = call.note_on("device_login.approve", scope.user());
    let own = state.store.own(scope);
    let approved = own.approve_device_login(&hash, &note, call.now).await;
    approved.map_err(gone)
}

/// Ends the log-in with this code.
///
/// # Errors
/// As [`look`].
pub async fn refuse(
    state: &ControlState,
    call: &Call,
    scope: &UserScope,
    shown: &str,
) -> Result<(), Problem> {
    let (hash, _) = guessed(state, call, scope, shown).await?;
    let note = call.note_on("device_login.refuse", scope.user());
    let own = state.store.own(scope);
    let refused = own.refuse_device_login(&hash, &note, call.now).await;
    refused.map_err(gone)
}

/// Logs the program in, once somebody approved: the person, and the `Set-Cookie` value of the new session.
///
/// # Errors
/// `authorization_pending`, or `slow_down` where the program asks sooner than it was told; `invalid_device_code`, the
/// same for unknown, refused, used and expired ones; `too_many_attempts` after many wrong codes from one address.
pub async fn take(
    state: &ControlState,
    call: &Call,
    headers: &HeaderMap,
    shown: &str,
) -> Result<(UserRow, HeaderValue), Problem> {
    let invalid = || Problem::new(Code::InvalidDeviceCode);
    // The address alone: a code has no name that a guesser would have to know.
    let guess = state.guesses.begin(None, call.client, call.now)?;
    let found = async {
        if !is_well_formed(CredentialKind::DeviceCode, shown) {
            return Err(invalid());
        }
        let hash = state.hasher.hash(HashPurpose::DeviceCode, shown.as_bytes());
        let system = state.store.system();
        let row = system.device_login_by_hash(&hash, call.now).await?;
        Ok((hash, row.ok_or_else(invalid)?))
    };
    let (hash, row) = guess.end(found.await)?;
    let Some(user) = row.approved_by else {
        let (code, wait_s) = match state.device_pace.ask(hash, LIFETIME_MS, call.now) {
            Came::InTime(wait_s) => (Code::AuthorizationPending, wait_s),
            Came::TooSoon(wait_s) => (Code::SlowDown, wait_s),
        };
        return Err(Problem::new(code).retry_after_s(wait_s.into()));
    };
    state.device_pace.forget(&hash);
    let (new, cookie) = session::draw(state, call, user, headers)?;
    let note = call.note_on("session.create", new.id);
    let system = state.store.system();
    let taken = system.take_device_login(&hash, &new, &note, call.now).await;
    taken.map_err(|error| match error {
        StoreError::NotFound => invalid(),
        error => error.into(),
    })?;
    let principal = store::Principal::Session {
        user,
        session: new.id,
    };
    let own = state
        .store
        .authorize_user(&principal, domain::access::Action::UseOwnUser)
        .await?;
    let user = state.store.own(&own).user().await?;
    Ok((user, cookie))
}

/// The open log-in whose code the caller typed. Wrong ones count.
async fn guessed(
    state: &ControlState,
    call: &Call,
    scope: &UserScope,
    shown: &str,
) -> Result<([u8; 32], DeviceLoginRow), Problem> {
    let person = Some(format!("device code by {}", scope.user()));
    let guess = state.guesses.begin(person, call.client, call.now)?;
    let found = async {
        let unknown = || Problem::new(Code::UnknownUserCode);
        let code = canonical(shown).ok_or_else(unknown)?;
        let hash = hash_of(state, &code);
        let system = state.store.system();
        let row = system.open_device_login(&hash, call.now).await?;
        Ok((hash, row.ok_or_else(unknown)?))
    };
    guess.end(found.await)
}

fn gone(error: StoreError) -> Problem {
    match error {
        StoreError::NotFound => Problem::new(Code::UnknownUserCode),
        error => error.into(),
    }
}

fn hash_of(state: &ControlState, user_code: &str) -> [u8; 32] {
    state
        .hasher
        .hash(HashPurpose::UserCode, user_code.as_bytes())
}

/// The code as it is hashed: people type it in any case, with blanks and dashes or without.
fn canonical(shown: &str) -> Option<String> {
    let code: String = shown
        .chars()
        .filter(|char| !char.is_whitespace() && *char != '-')
        .map(|char| char.to_ascii_uppercase())
        .collect();
    let fits = code.len() == USER_CODE_LETTERS && code.bytes().all(|it| LETTERS.contains(&it));
    fits.then_some(code)
}

/// Letters of equal chance: bytes that would favour the first ones are thrown away.
fn draw_user_code(state: &ControlState) -> Result<String, Problem> {
    let mut code = String::new();
    while code.len() < USER_CODE_LETTERS {
        let random: [u8; 32] = state.sources.random.bytes()?;
        let fair = random.iter().filter(|byte| **byte < 240);
        let letters = fair.map(|byte| char::from(LETTERS[usize::from(byte % 20)]));
        code.extend(letters.take(USER_CODE_LETTERS - code.len()));
    }
    Ok(code)
}

/// What the program calls itself, as one harmless line.
fn printable(client: &str) -> String {
    let printable = client.chars().filter(|char| !crate::text::hides(*char));
    printable.take(MAX_CLIENT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        for typed in ["BCDF-GHJK", "bcdfghjk", " bcdf ghjk "] {
            assert_eq!(canonical(typed).as_deref(), Some("BCDFGHJK"));
        }
        for wrong in [
            "",
            "BCDFGHJ",
            "BCDFGHJKL",
            "ABCDFGHJ",
            "BCDF1HJK",
            "\u{e9}\u{e9}\u{e9}\u{e9}",
        ] {
            assert_eq!(canonical(wrong), None, "{wrong}");
        }
    }
}
