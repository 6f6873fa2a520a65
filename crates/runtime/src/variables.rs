//! The variables under which SDKs look for their base URL and key.

use domain::variable::KEY_NAMES;

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

/// The SDKs' variables for a base URL, from their own sources (2026-11).
const BASE_URLS: &[(&str, Base)] = &[
    ("OPENAI_BASE_URL", Base::V1),
    // LangChain, LiteLLM and aider read the older name.
    ("OPENAI_API_BASE", Base::V1),
    // The AI SDK for JavaScript would have `/v1` here; the official SDKs and Claude Code add it themselves.
    ("ANTHROPIC_BASE_URL", Base::Root),
    ("ANTHROPIC_API_BASE", Base::Root),
    ("GOOGLE_GEMINI_BASE_URL", Base::Root),
    ("OPENROUTER_BASE_URL", Base::V1),
    ("OPENROUTER_API_BASE", Base::V1),
];

impl Gateway<'_> {
    /// Each variable with its value. The key stands in those whose name ends in `_KEY`, and nowhere else.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let bases = BASE_URLS.iter().map(|(name, base)| {
            let value = match base {
                Base::Root => self.address.to_owned(),
                Base::V1 => format!("{}/v1", self.address),
            };
            (*name, value)
        });
        let keys = KEY_NAMES.iter().map(|name| (*name, self.key.to_owned()));
        bases.chain(keys).collect()
    }
}

/// Whether a variable is one that the gateway's address or key stands in, so that nobody else may set it.
pub fn is_pinned(name: &str) -> bool {
    KEY_NAMES.contains(&name) || BASE_URLS.iter().any(|(base, _)| *base == name)
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
