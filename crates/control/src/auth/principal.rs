//! The credential on a request, and whose it is.

use axum::extract::FromRequestParts;
use domain::Secret;
use domain::credential::{API_KEY_HEADERS, BEARER_HEADER, CredentialKind, is_well_formed};
use http::HeaderMap;
use http::request::Parts;
use store::Principal;
use vault::HashPurpose;

use crate::auth::session;
use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::state::ControlState;

/// How exactly the last use of a session is kept; finer would write at each request.
const SEEN_EVERY_MS: i64 = 60_000;

/// Who is calling; the caller has shown a valid credential.
pub struct Caller(pub Principal);

/// Who is calling, if anybody: for operations that are open to all and do more for a person who is logged in.
pub struct OptionalCaller(pub Option<Principal>);

impl FromRequestParts<ControlState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ControlState) -> Result<Self, Problem> {
        match OptionalCaller::from_request_parts(parts, state).await?.0 {
            Some(principal) => Ok(Self(principal)),
            None => Err(Problem::new(Code::AuthenticationRequired)),
        }
    }
}

impl FromRequestParts<ControlState> for OptionalCaller {
    type Rejection = Problem;

    /// A credential that is shown and does not hold is refused, never ignored.
    async fn from_request_parts(parts: &mut Parts, state: &ControlState) -> Result<Self, Problem> {
        let call = Call::from_request_parts(parts, state).await?;
        let Some((kind, credential)) = find(&parts.headers)? else {
            return Ok(Self(None));
        };
        let purpose = match kind {
            CredentialKind::Session => HashPurpose::Session,
            _ => HashPurpose::ApiKey,
        };
        let hash = credential.expose(|bytes| state.hasher.hash(purpose, bytes));
        let system = state.store.system();
        let principal = match kind {
            CredentialKind::Session => {
                let session = system.session_by_hash(&hash, call.now).await?;
                if let Some(session) = &session
                    && call.now.millis_since(session.last_seen_at) >= SEEN_EVERY_MS
                {
                    system.touch_session(session.id, call.now).await?;
                }
                session.map(|session| Principal::Session {
                    user: session.user,
                    session: session.id,
                })
            }
            _ => system.api_key_by_hash(&hash, call.now).await?,
        };
        match principal {
            Some(principal) => Ok(Self(Some(principal))),
            None => Err(Problem::new(Code::AuthenticationRequired)
                .because("the credential is not valid, or no longer")),
        }
    }
}

/// The keyed hash of the API key that the request shows, if it shows one.
pub struct ShownApiKey(pub Option<[u8; 32]>);

impl FromRequestParts<ControlState> for ShownApiKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ControlState) -> Result<Self, Problem> {
        Ok(Self(match find(&parts.headers)? {
            Some((CredentialKind::ApiKey, key)) => {
                Some(key.expose(|bytes| state.hasher.hash(HashPurpose::ApiKey, bytes)))
            }
            _ => None,
        }))
    }
}

/// The one credential of the request. The same API key in several headers is one.
fn find(headers: &HeaderMap) -> Result<Option<(CredentialKind, Secret)>, Problem> {
    let ambiguous = || Problem::new(Code::AmbiguousCredentials);
    let session = session::from_cookies(headers)?;
    let mut found: Option<&[u8]> = None;
    for place in std::iter::once(BEARER_HEADER).chain(API_KEY_HEADERS) {
        let mut values = headers.get_all(place).iter();
        let Some(value) = values.next() else {
            continue;
        };
        if values.next().is_some() {
            return Err(ambiguous());
        }
        let key = match place {
            BEARER_HEADER => bearer(value.as_bytes()).ok_or_else(not_ours)?,
            _ => value.as_bytes(),
        };
        if found.is_some_and(|other| other != key) {
            return Err(ambiguous());
        }
        found = Some(key);
    }
    let Some(key) = found else {
        return Ok(session.map(|session| (CredentialKind::Session, session)));
    };
    if session.is_some() {
        return Err(ambiguous());
    }
    let ours =
        std::str::from_utf8(key).is_ok_and(|key| is_well_formed(CredentialKind::ApiKey, key));
    if ours {
        Ok(Some((CredentialKind::ApiKey, Secret::new(key.to_vec()))))
    } else {
        Err(not_ours())
    }
}

/// The credential after the scheme `Bearer` and one blank; the scheme is compared without regard to case
/// (RFC 9110, 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(rest)
}

fn not_ours() -> Problem {
    Problem::new(Code::AuthenticationRequired).because("the credential is not an API key of ours")
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::credential::write;

    fn text(kind: CredentialKind, seed: u8) -> String {
        let secret = write(kind, &[seed; 32]);
        secret.expose(|bytes| String::from_utf8(bytes.to_vec()).expect("ASCII"))
    }

    fn check(headers: &[(&'static str, String)]) -> Result<Option<CredentialKind>, Code> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a header value"));
        }
        find(&map)
            .map(|found| found.map(|(kind, _)| kind))
            .map_err(|problem| problem.code())
    }

    #[test]
    fn one_credential_counts_and_two_are_refused() {
        // T97, T114
        let (one, two) = (
            text(CredentialKind::ApiKey, 1),
            text(CredentialKind::ApiKey, 2),
        );
        let cookie = format!(
            "a=b; __Host-keybearer_session={}",
            text(CredentialKind::Session, 3)
        );
        let bearer = |key: &str| ("authorization", format!("Bearer {key}"));
        assert_eq!(check(&[]), Ok(None));
        assert_eq!(check(&[bearer(&one)]), Ok(Some(CredentialKind::ApiKey)));
        for name in API_KEY_HEADERS {
            let alone = [(name, one.clone())];
            assert_eq!(check(&alone), Ok(Some(CredentialKind::ApiKey)), "{name}");
            let second = [(name, one.clone()), ("x-api-key", two.clone())];
            assert_eq!(check(&second), Err(Code::AmbiguousCredentials), "{name}");
            let cookie = [(name, one.clone()), ("cookie", cookie.clone())];
            assert_eq!(check(&cookie), Err(Code::AmbiguousCredentials), "{name}");
        }
        for scheme in ["bearer", "BEARER"] {
            let spelled = [("authorization", format!("{scheme} {one}"))];
            assert_eq!(check(&spelled), Ok(Some(CredentialKind::ApiKey)));
        }
        assert_eq!(
            check(&[("cookie", cookie.clone())]),
            Ok(Some(CredentialKind::Session))
        );
        let same = [bearer(&one), ("x-api-key", one.clone())];
        assert_eq!(check(&same), Ok(Some(CredentialKind::ApiKey)));
        for bad in [
            vec![bearer(&one), ("x-api-key", two.clone())],
            vec![bearer(&one), bearer(&one)],
            vec![bearer(&one), ("cookie", cookie.clone())],
            vec![("cookie", cookie.clone()), ("cookie", cookie.clone())],
        ] {
            assert_eq!(check(&bad), Err(Code::AmbiguousCredentials), "{bad:?}");
        }
    }

    #[test]
    fn what_is_not_one_of_our_keys_is_refused_unseen() {
        // T79, T85, T88
        let key = text(CredentialKind::ApiKey, 1);
        for bad in [
            format!("{key} "),
            format!(" {key}"),
            key.to_uppercase(),
            text(CredentialKind::Session, 1),
            "sk-proj-abcdefghijklmnop".to_owned(),
            "' OR 1=1 --".to_owned(),
            "x".repeat(1 << 20),
        ] {
            let answer = check(&[("authorization", format!("Bearer {bad}"))]);
            assert_eq!(answer, Err(Code::AuthenticationRequired));
            assert_eq!(
                check(&[("x-api-key", bad)]),
                Err(Code::AuthenticationRequired)
            );
        }
        let basic = [("authorization", format!("Basic {key}"))];
        assert_eq!(check(&basic), Err(Code::AuthenticationRequired));
    }
}
