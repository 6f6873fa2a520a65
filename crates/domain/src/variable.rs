//! Names of environment variables that somebody may give to a program which runs with a workspace's credentials.
//!
//! A variable can make a program load other code, trust other certificates or send what it says to another host. Whoever
//! may only say with which variables a program runs must not be able to do that, so such names are refused.

use std::fmt;
use std::str::FromStr;

/// The longest value of a variable, in bytes.
pub const MAX_VALUE_BYTES: usize = 32 * 1024;

/// The names under which SDKs look for a key: the gateway's stands there, and nobody else's.
pub const KEY_NAMES: &[&str] = &[
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "OPENROUTER_API_KEY",
];

/// The longest name, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Names that decide what code runs, whom it trusts, or where it sends. An asterisk stands for any rest.
const REFUSED: &[&str] = &[
    // The loader, the C library, the shell.
    "LD_*",
    "DYLD_*",
    "GLIBC_TUNABLES",
    "GCONV_PATH",
    "LOCPATH",
    "NLSPATH",
    "MALLOC_*",
    "PATH",
    "IFS",
    "ENV",
    "BASH_*",
    "SHELLOPTS",
    "BASHOPTS",
    "PS4",
    "PROMPT_COMMAND",
    "ZDOTDIR",
    "HOME",
    "SHELL",
    "TERMINFO",
    "XDG_CONFIG_HOME",
    "CDPATH",
    // Interpreters.
    "PYTHONSTARTUP",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONUSERBASE",
    "PYTHONEXECUTABLE",
    "PYTHONPLATLIBDIR",
    "PYTHONPYCACHEPREFIX",
    "PYTHONWARNINGS",
    "PYTHONBREAKPOINT",
    "PYTHONINSPECT",
    "PYTEST_*",
    "NODE_OPTIONS",
    "NODE_PATH",
    "NODE_EXTRA_CA_CERTS",
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "NODE_REPL_EXTERNAL_MODULE",
    "NPM_CONFIG_*",
    "ELECTRON_RUN_AS_NODE",
    "BUN_*",
    "DENO_*",
    "RUBYOPT",
    "RUBYLIB",
    "GEM_*",
    "BUNDLE_*",
    "PERL5*",
    "PERLLIB",
    "PERL_*",
    "JAVA_TOOL_OPTIONS",
    "JDK_*",
    "CLASSPATH",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "LUA_*",
    "DOTNET_*",
    "CORECLR_*",
    "COR_*",
    "GOFLAGS",
    "GOPROXY",
    "RUSTFLAGS",
    "MAKEFLAGS",
    "CC",
    "CXX",
    "*_OPTS",
    "R_PROFILE_USER",
    "JULIA_LOAD_PATH",
    "ERL_FLAGS",
    "PIP_*",
    "UV_*",
    "YARN_*",
    "RUSTC",
    "RUSTC_*",
    "CARGO_*",
    // Programs that other programs call.
    "GIT_*",
    "SSH_ASKPASS",
    "SUDO_ASKPASS",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "BROWSER",
    "LESSOPEN",
    "LESSCLOSE",
    "MANPAGER",
    "VIMINIT",
    "GTK_MODULES",
    "QT_PLUGIN_PATH",
    // Whom it trusts, and what it writes of its connections.
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSLKEYLOGFILE",
    "OPENSSL_*",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "CURL_HOME",
    "WGETRC",
    "AWS_CA_BUNDLE",
    // Files that name programs to run, and other hosts.
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "KUBECONFIG",
    "DOCKER_*",
    // Where it sends: hosts are resolved and reached as the machine does, and keys go to the gateway alone.
    "*_PROXY",
    "*_BASE_URL",
    "*_API_BASE",
    "*_API_URL",
    "*_ENDPOINT",
    "*_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_*",
    "*_UNIX_SOCKET",
    "OLLAMA_HOST",
    "HOSTALIASES",
    "RESOLV_HOST_CONF",
    "RES_OPTIONS",
    "LOCALDOMAIN",
    // Where tools keep their settings, which say all of this.
    "AIDER_*",
    "CLAUDE_CONFIG_DIR",
    "CLAUDE_CODE_USE_*",
    "CODEX_HOME",
    "OPENCODE_CONFIG*",
    // Ours.
    "KEYBEARER_*",
];

/// A name that a variable may have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VariableName(Box<str>);

/// Why a variable is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedVariable {
    /// Not of the form of a name.
    #[error(
        "a variable's name is 1 to {MAX_NAME_BYTES} characters of A-Z, 0-9 and underscore, beginning with a letter"
    )]
    Form,
    /// On the list above.
    #[error("the name decides what code runs, whom it trusts or where it sends")]
    Dangerous,
    /// Too long, or with a character that no environment can hold.
    #[error("a variable's value is at most {MAX_VALUE_BYTES} bytes, without NUL")]
    Value,
}

impl VariableName {
    /// A name that was taken once: names that came onto the list since then stay what is stored, and run nowhere.
    ///
    /// # Errors
    /// [`RefusedVariable::Form`].
    pub fn stored(text: &str) -> Result<Self, RefusedVariable> {
        let rest = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let formed = (1..=MAX_NAME_BYTES).contains(&text.len())
            && text.as_bytes()[0].is_ascii_uppercase()
            && text.bytes().all(rest);
        formed
            .then(|| Self(text.into()))
            .ok_or(RefusedVariable::Form)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for VariableName {
    type Err = RefusedVariable;

    fn from_str(text: &str) -> Result<Self, RefusedVariable> {
        let name = Self::stored(text)?;
        match is_among(text, REFUSED) {
            true => Err(RefusedVariable::Dangerous),
            false => Ok(name),
        }
    }
}

/// Checks a value.
///
/// # Errors
/// [`RefusedVariable::Value`].
pub fn check_value(value: &str) -> Result<(), RefusedVariable> {
    if value.len() > MAX_VALUE_BYTES || value.contains('\0') {
        return Err(RefusedVariable::Value);
    }
    Ok(())
}

/// Whether a name is one of these. An asterisk at a pattern's begin or end stands for anything.
pub fn is_among(name: &str, patterns: &[&str]) -> bool {
    patterns.iter().any(|pattern| matches(pattern, name))
}

fn matches(pattern: &str, name: &str) -> bool {
    match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
        (Some(prefix), _) => name.starts_with(prefix),
        (None, Some(suffix)) => name.ends_with(suffix),
        (None, None) => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T172.
    #[test]
    fn names_that_run_code_or_redirect_are_refused() {
        for name in [
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "DYLD_INSERT_LIBRARIES",
            "PATH",
            "BASH_ENV",
            "PYTHONSTARTUP",
            "NODE_OPTIONS",
            "GIT_SSH_COMMAND",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "SSL_CERT_FILE",
            "OPENAI_BASE_URL",
            "ANTHROPIC_API_URL",
            "KEYBEARER_API_KEY",
            "MAVEN_OPTS",
            "OPENCODE_CONFIG",
            "AZURE_OPENAI_ENDPOINT",
        ] {
            let refused = name.parse::<VariableName>();
            assert_eq!(refused, Err(RefusedVariable::Dangerous), "{name}");
        }
        for name in [
            "",
            "A=B",
            "a",
            "http_proxy",
            "A B",
            "A\0",
            "1A",
            "_A",
            "Ä",
            "A-B",
        ] {
            let refused = name.parse::<VariableName>();
            assert_eq!(refused, Err(RefusedVariable::Form), "{name:?}");
        }
        let long = "A".repeat(MAX_NAME_BYTES + 1);
        assert_eq!(long.parse::<VariableName>(), Err(RefusedVariable::Form));
    }

    #[test]
    fn names_of_a_programs_own_are_taken() {
        for name in ["DATABASE_URL", "PORT", "A", "LOG_LEVEL", "PYTHONUNBUFFERED"] {
            let taken = name.parse::<VariableName>();
            assert_eq!(taken.as_ref().map(VariableName::as_str), Ok(name));
        }
        let longest = "A".repeat(MAX_NAME_BYTES);
        assert!(longest.parse::<VariableName>().is_ok());
    }

    #[test]
    fn values_have_a_limit_and_no_nul() {
        assert_eq!(check_value(""), Ok(()));
        assert_eq!(check_value(&"v".repeat(MAX_VALUE_BYTES)), Ok(()));
        for value in ["a\0b", &"v".repeat(MAX_VALUE_BYTES + 1)] {
            assert_eq!(check_value(value), Err(RefusedVariable::Value));
        }
    }
}
