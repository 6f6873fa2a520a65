//! Links to a new password, for people who forgot theirs: made by an admin of the instance or at its machine, used once.

use domain::credential::{CredentialKind, is_well_formed, write};
use domain::{Secret, Sources, Timestamp, UserId};
use store::{AuditNote, InstanceScope, NewPasswordLink, Store, StoreError, UserRow};
use vault::{HashPurpose, Hasher};

use crate::auth::password::Password;
use crate::auth::refusal::noted;
use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::state::ControlState;
use crate::text;

/// A link is good for an hour.
pub const LIFETIME_MS: i64 = 60 * 60 * 1000;
/// The page that a link leads to, below the address of the server; `#token=` and the credential follow.
pub const PAGE: &str = "/console/password";
/// What the audit log calls the making of a link.
const CREATE: &str = "user.create_password_link";
/// What the audit log calls the use of a link.
const USE: &str = "user.use_password_link";
/// What the log of the person's account calls it: not what the person's own change is called, so that the person sees that
/// a link was at work.
const SET_BY_LINK: &str = "user.set_password_by_link";

/// A link that was made.
pub struct PasswordLink {
    /// Whose password it is for.
    pub user: UserRow,
    /// What the link carries: `kbpassword_...`. It is not kept.
    pub credential: Secret,
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

/// Makes a link for somebody else, in the place of the one before. It ends when its maker manages the instance no more.
///
/// # Errors
/// `not_found`; `conflict` for the caller and for who is suspended.
pub async fn create(
    state: &ControlState,
    call: &Call,
    scope: &InstanceScope,
    user: UserId,
) -> Result<PasswordLink, Problem> {
    let (new, credential) = draw(&state.hasher, &state.sources, user, call.now)?;
    let note = call.note_on(CREATE, user);
    let system = state.store.system();
    let user = system
        .create_password_link(scope, &new, &note, call.now)
        .await?;
    Ok(PasswordLink {
        user,
        credential,
        expires_at: new.expires_at,
    })
}

/// Makes a link for the person with this e-mail, for whoever has the database and the root key at hand.
///
/// # Errors
/// `not_found`; `conflict` for who is suspended.
pub async fn create_at_machine(
    store: &Store,
    hasher: &Hasher,
    sources: &Sources,
    email: &str,
) -> Result<PasswordLink, Problem> {
    let now = sources.now();
    let system = store.system();
    let found = system.login(&text::email(email)?).await?;
    let (found, _) = found.ok_or_else(|| Problem::new(Code::NotFound))?;
    let (new, credential) = draw(hasher, sources, found.id, now)?;
    let note = AuditNote {
        action: CREATE,
        provider: None,
        label: None,
        kek_id: None,
        content_sha256: None,
        subject: Some(found.id.to_string()),
        outcome: "ok",
        request: sources.id()?,
    };
    let user = system
        .create_operators_password_link(&new, &note, now)
        .await?;
    Ok(PasswordLink {
        user,
        credential,
        expires_at: new.expires_at,
    })
}

/// Gives the person whom a link is for a new password, once, and ends all log-ins of that person. Nobody is logged in by it.
///
/// # Errors
/// `invalid_password_link`, the same for unknown, used, replaced and expired ones and those whose maker manages the
/// instance no more; `too_many_attempts` after a hundred failures of the address; `invalid_request` when the password
/// does not fit, and the link stays good.
pub async fn set_password(
    state: &ControlState,
    call: &Call,
    shown: &str,
    password: Password,
) -> Result<UserRow, Problem> {
    password.check_new("password")?;
    // The address alone: a link has no name that a guesser would have to know.
    let guess = state.guesses.begin(None, call.client, call.now)?;
    let found = find(state, call, shown).await;
    let hash = guess.end(noted(state, call, USE, found).await)?;
    // Only now: hashing a password is work, which nobody gets for a guess.
    let password_hash = state.passwords.hash(password).await?;
    let notes = |user: &UserRow| {
        let of_password = call.note_on(SET_BY_LINK, user.id);
        (call.note_on(USE, user.id), of_password)
    };
    let system = state.store.system();
    let used = system.use_password_link(&hash, &password_hash, notes, call.now);
    used.await.map_err(|error| match error {
        StoreError::NotFound => Problem::new(Code::InvalidPasswordLink),
        error => error.into(),
    })
}

/// The keyed hash of the credential of an open link.
async fn find(state: &ControlState, call: &Call, shown: &str) -> Result<[u8; 32], Problem> {
    let invalid = || Problem::new(Code::InvalidPasswordLink);
    if !is_well_formed(CredentialKind::PasswordLink, shown) {
        return Err(invalid());
    }
    let hash = state
        .hasher
        .hash(HashPurpose::PasswordLink, shown.as_bytes());
    let system = state.store.system();
    match system.has_open_password_link(&hash, call.now).await? {
        true => Ok(hash),
        false => Err(invalid()),
    }
}

fn draw(
    hasher: &Hasher,
    sources: &Sources,
    user: UserId,
    now: Timestamp,
) -> Result<(NewPasswordLink, Secret), Problem> {
    let credential = write(CredentialKind::PasswordLink, &sources.random.bytes()?);
    let new = NewPasswordLink {
        user,
        hash: credential.expose(|bytes| hasher.hash(HashPurpose::PasswordLink, bytes)),
        expires_at: now.plus_millis(LIFETIME_MS),
    };
    Ok((new, credential))
}
