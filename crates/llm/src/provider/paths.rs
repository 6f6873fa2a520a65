//! Paths of a provider that are more than calls: where it makes or manages credentials, and what workspaces may share.
//!
//! What is written here closes paths at every provider; a provider's file adds its own. Nothing takes one away.

/// A beginning of paths, by whole segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathRule(String);

/// Beginnings of paths at which credentials are made or managed, at all providers. What is made there nobody here would
/// know, meter or revoke.
const CLOSED: [&str; 9] = [
    "admin",
    "auth",
    "chatkit/sessions",
    "keys",
    "organization",
    "organizations",
    "realtime/client_secrets",
    "realtime/sessions",
    "realtime/transcription_sessions",
];

/// The same, wherever they stand in a path: words that mean credentials and nothing else.
const CREDENTIALS: [&str; 10] = [
    "accesstokens",
    "adminapikeys",
    "apikey",
    "apikeys",
    "authtoken",
    "authtokens",
    "clientsecrets",
    "ephemeraltokens",
    "provisioningkeys",
    "serviceaccounts",
];

impl PathRule {
    /// Reads a rule: segments between slashes, each plain text or `*` for any one. `None`: it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let fits = |segment: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:@".contains(&byte);
            segment == "*" || !word(segment).is_empty() && segment.bytes().all(plain)
        };
        let whole = text.len() <= 256 && text.split('/').all(fits) && text != "*";
        whole.then(|| Self(text.to_owned()))
    }

    /// Whether `path` begins with it as it is written.
    fn begins(&self, path: &str) -> bool {
        begins(self.0.split('/'), path.split('/'), |rule, segment| {
            rule == segment
        })
    }
}

/// Whether a rule of `theirs` or one that counts everywhere closes `path`, by any spelling that a lenient server reads:
/// without regard to case, dashes and underscores, and to a version or `api` in front.
pub(super) fn is_closed(theirs: &[PathRule], path: &str) -> bool {
    let segments: Vec<String> = path
        .split('/')
        .map(word)
        .filter(|it| !it.is_empty())
        .collect();
    if segments.iter().any(|it| CREDENTIALS.contains(&it.as_str())) {
        return true;
    }
    let front = segments.iter().take_while(|it| is_version(it)).count();
    let mut rules = CLOSED
        .into_iter()
        .chain(theirs.iter().map(|it| it.0.as_str()));
    rules.any(|rule| {
        let is = |rule: &str, segment: &str| word(rule) == segment;
        let rest = |from| segments[from..].iter().map(String::as_str);
        // A rule may begin with what stands in front, too.
        (0..=front).any(|from| begins(rule.split('/'), rest(from), is))
    })
}

/// Whether a rule of `shared` has `path`, exactly as it is written.
pub(super) fn is_shared(shared: &[PathRule], path: &str) -> bool {
    let path = path.trim_start_matches('/');
    shared.iter().any(|rule| rule.begins(path))
}

fn begins<'r, 'p>(
    rule: impl Iterator<Item = &'r str>,
    mut path: impl Iterator<Item = &'p str>,
    is: impl Fn(&str, &str) -> bool,
) -> bool {
    let mut rule = rule;
    rule.all(|rule| {
        path.next()
            .is_some_and(|it| !it.is_empty() && (rule == "*" || is(rule, it)))
    })
}

/// A segment up to the first character that is part of no name, in lower case, without dashes and underscores.
fn word(segment: &str) -> String {
    let name = |it: &char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_');
    segment
        .chars()
        .take_while(name)
        .filter(char::is_ascii_alphanumeric)
        .map(|it| it.to_ascii_lowercase())
        .collect()
}

fn is_version(word: &str) -> bool {
    let digits = word.strip_prefix('v').unwrap_or_default();
    word == "api" || digits.starts_with(|it: char| it.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(texts: &[&str]) -> Vec<PathRule> {
        texts
            .iter()
            .map(|it| PathRule::parse(it).expect(it))
            .collect()
    }

    #[test]
    fn credentials_are_made_nowhere() {
        let theirs = rules(&["generate_auth_token", "accounts/*/users", "v2/mint"]);
        for closed in [
            "/realtime/client_secrets",
            "/v1/Realtime/sessions/",
            "/v1/realtime/transcription_sessions",
            "/realtime/translations/client_secrets",
            "/chatkit/sessions/s/cancel",
            "/v1/organization/admin_api_keys",
            "/organization/projects/p/service_accounts",
            "/v1/organizations/api_keys/k",
            "/keys",
            "/keys%20",
            "/keys:create",
            "/api/v1/keys/k",
            "/v1/auth/keys",
            "/v1alpha/auth_tokens",
            "/v1alpha/authTokens:create",
            "/v1/accounts/a/users/u/apiKeys",
            "/Generate-Auth-Token",
            "/accounts/a/users/u",
            "/v2/mint/x",
            "/api/v2/mint",
        ] {
            assert!(is_closed(&theirs, closed), "{closed}");
        }
        for open in [
            "/v1/files",
            "/chatkit/threads",
            "/realtime/calls",
            "/keyspaces",
            "/models/keys",
            "/accounts/a",
            "/accounts",
            "/mint",
            "/fine_tuning/jobs/organization",
            "/",
        ] {
            assert!(!is_closed(&theirs, open), "{open}");
        }
        assert!(!is_closed(&[], "/accounts/a/users"));
    }

    #[test]
    fn what_is_shared_is_written_exactly() {
        let shared = rules(&["res/v1", "a/*/c"]);
        for path in ["/res/v1", "/res/v1/", "/res/v1/web/search", "/a/b/c"] {
            assert!(is_shared(&shared, path), "{path}");
        }
        for path in [
            "/res",
            "/RES/v1",
            "/res/v1x",
            "/v1/res/v1",
            "/res%20/v1",
            "/a//c",
            "/",
        ] {
            assert!(!is_shared(&shared, path), "{path}");
        }
    }

    #[test]
    fn a_rule_is_plain() {
        for text in [
            "", "*", "/keys", "keys/", "a//b", "a?b", "a%20b", "..", "a*",
        ] {
            assert_eq!(PathRule::parse(text), None, "{text}");
        }
    }
}
