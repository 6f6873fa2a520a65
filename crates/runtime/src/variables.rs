//! The variables under which SDKs look for their base URL and key.

/// What a program is given to reach the gateway. Holds the key: never logged, never printed but where it was asked for.
pub struct Gateway<'a> {
    /// The gateway's address, without a slash at the end: `http://127.0.0.1:4356`.
    pub address: &'a str,
    /// An API key of the gateway.
    pub key: &'a str,
}

/// Where under the gateway's address an SDK wants to begin.
enum Base {
    /// The address itself; the SDK adds `/v1/...`.
    Root,
    /// The address with `/v1`.
    V1,
}

/// What the SDKs of one provider read.
struct Sdk {
    bases: &'static [(&'static str, Base)],
    keys: &'static [&'static str],
}

/// The SDKs' variables, from their own sources (2026-11).
const SDKS: &[Sdk] = &[
    Sdk {
        bases: &[
            ("OPENAI_BASE_URL", Base::V1),
            // LangChain, LiteLLM and aider read the older name.
            ("OPENAI_API_BASE", Base::V1),
        ],
        keys: &["OPENAI_API_KEY"],
    },
    Sdk {
        bases: &[
            // The AI SDK for JavaScript would have `/v1` here; the official SDKs and Claude Code add it themselves.
            ("ANTHROPIC_BASE_URL", Base::Root),
            ("ANTHROPIC_API_BASE", Base::Root),
        ],
        keys: &["ANTHROPIC_API_KEY"],
    },
    Sdk {
        bases: &[("GOOGLE_GEMINI_BASE_URL", Base::Root)],
        keys: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    },
    Sdk {
        bases: &[
            ("OPENROUTER_BASE_URL", Base::V1),
            ("OPENROUTER_API_BASE", Base::V1),
        ],
        keys: &["OPENROUTER_API_KEY"],
    },
];

impl Gateway<'_> {
    /// Each variable with its value. The key stands in those whose name ends in `_KEY`, and nowhere else.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let bases = SDKS.iter().flat_map(|sdk| sdk.bases).map(|(name, base)| {
            let value = match base {
                Base::Root => self.address.to_owned(),
                Base::V1 => format!("{}/v1", self.address),
            };
            (*name, value)
        });
        let keys = SDKS.iter().flat_map(|sdk| sdk.keys);
        let keys = keys.map(|name| (*name, self.key.to_owned()));
        bases.chain(keys).collect()
    }
}

/// Whether a variable is one that the gateway's address or key stands in, so that nobody else may set it.
pub fn is_pinned(name: &str) -> bool {
    SDKS.iter()
        .any(|sdk| sdk.keys.contains(&name) || sdk.names_base(name))
}

/// All variables in which the SDKs that read the key `name` look for a key: where one of them has a provider's own key, the
/// others must not have the gateway's, or an SDK would send that to the provider.
pub fn keys_beside(name: &str) -> &'static [&'static str] {
    of_key(name).map_or(&[], |sdk| sdk.keys)
}

/// The variables in which the SDKs that read the key `name` look for a base URL.
pub fn bases_beside(name: &str) -> impl Iterator<Item = &'static str> {
    let bases = of_key(name).map_or(&[][..], |sdk| sdk.bases);
    bases.iter().map(|(name, _)| *name)
}

fn of_key(name: &str) -> Option<&'static Sdk> {
    SDKS.iter().find(|sdk| sdk.keys.contains(&name))
}

impl Sdk {
    fn names_base(&self, name: &str) -> bool {
        self.bases.iter().any(|(base, _)| *base == name)
    }
}

/// A form in which variables are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Lines that a POSIX shell evaluates.
    Shell,
    /// `NAME=value` lines, as systemd, Docker and dotenv read them. Values must need no quotes.
    EnvFile,
}

/// Writes variables down, a line for each.
pub fn write(variables: &[(&'static str, String)], form: Form) -> String {
    let line = |(name, value): &(&str, String)| match form {
        Form::Shell => format!("export {name}={}\n", quoted(value)),
        Form::EnvFile => format!("{name}={value}\n"),
    };
    variables.iter().map(line).collect()
}

/// A word that a POSIX shell reads back as it was.
pub fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:=,@+".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_providers_own_key_displaces_all_that_its_sdks_would_read_beside_it() {
        assert_eq!(
            keys_beside("GEMINI_API_KEY"),
            ["GEMINI_API_KEY", "GOOGLE_API_KEY"]
        );
        let bases: Vec<_> = bases_beside("OPENAI_API_KEY").collect();
        assert_eq!(bases, ["OPENAI_BASE_URL", "OPENAI_API_BASE"]);
        assert!(keys_beside("MISTRAL_API_KEY").is_empty());
        // The same names as those that a service must not set.
        let keys: Vec<_> = SDKS.iter().flat_map(|sdk| sdk.keys).copied().collect();
        assert_eq!(keys, domain::variable::KEY_NAMES);
        assert_eq!(bases_beside("OPENAI_BASE_URL").count(), 0);
    }

    #[test]
    fn sdks_find_the_gateway_and_its_key() {
        let gateway = Gateway {
            address: "http://127.0.0.1:1",
            key: "kb_x",
        };
        let variables = gateway.variables();
        let of = |name: &str| {
            let found = variables.iter().find(|(it, _)| *it == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(of("OPENAI_BASE_URL"), Some("http://127.0.0.1:1/v1"));
        assert_eq!(of("ANTHROPIC_BASE_URL"), Some("http://127.0.0.1:1"));
        assert_eq!(of("GOOGLE_GEMINI_BASE_URL"), Some("http://127.0.0.1:1"));
        assert_eq!(of("OPENROUTER_BASE_URL"), Some("http://127.0.0.1:1/v1"));
        for (name, value) in &variables {
            assert!(is_pinned(name));
            assert_eq!(name.ends_with("_KEY"), value == "kb_x", "{name}");
        }
        assert!(!is_pinned("PORT"));
    }

    #[test]
    fn a_shell_reads_back_what_was_written() {
        let variables = [("A", "it's $x `y` \"z\"".to_owned()), ("B", String::new())];
        let text = write(&variables, Form::Shell);
        assert_eq!(text, "export A='it'\\''s $x `y` \"z\"'\nexport B=''\n");
        let plain = [("A", "http://h:1/v1".to_owned())];
        assert_eq!(write(&plain, Form::Shell), "export A=http://h:1/v1\n");
        assert_eq!(write(&plain, Form::EnvFile), "A=http://h:1/v1\n");
    }
}
