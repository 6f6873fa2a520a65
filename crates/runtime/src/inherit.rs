//! What a program inherits of its starter's environment: what says where and for whom it runs, and nothing that might
//! be a secret or send it elsewhere.

use std::ffi::OsString;

use domain::variable::is_among;

/// Names that are passed on. An asterisk stands for any rest.
const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "PWD",
    "HOSTNAME",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TMPDIR",
    "TERM",
    "TERMINFO",
    "TERM_PROGRAM",
    "TERM_PROGRAM_VERSION",
    "COLORTERM",
    "COLUMNS",
    "LINES",
    "NO_COLOR",
    "FORCE_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "LESS",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_*",
    "CI",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "CONDA_DEFAULT_ENV",
    "NVM_DIR",
    "NVM_BIN",
    "PYENV_ROOT",
    "JAVA_HOME",
    "GOPATH",
    "GOROOT",
    "CARGO_HOME",
    "RUSTUP_HOME",
];

/// The part of an environment that a program inherits.
pub fn inherited(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> impl Iterator<Item = (OsString, OsString)> {
    environment
        .into_iter()
        .filter(|(name, _)| name.to_str().is_some_and(|name| is_among(name, INHERITED)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_inherits_no_secret_and_nothing_that_redirects() {
        let kept = |name: &str| inherited([(name.into(), "x".into())]).count() == 1;
        for name in ["PATH", "HOME", "LC_ALL", "XDG_CONFIG_HOME", "TERM"] {
            assert!(kept(name), "{name}");
        }
        for name in [
            "OPENAI_API_KEY",
            "OPENAI_BASE_URL",
            "KEYBEARER_API_KEY",
            "KEYBEARER_ROOT_KEY",
            "KEYBEARER_DATABASE_URL",
            "AWS_SECRET_ACCESS_KEY",
            "SSH_AUTH_SOCK",
            "LD_PRELOAD",
            "HTTPS_PROXY",
            "https_proxy",
            "SSL_CERT_FILE",
            "NODE_OPTIONS",
            "PATHS",
        ] {
            assert!(!kept(name), "{name}");
        }
    }
}
