//! Configuration: one flat list of options, from a TOML file and then from the environment.
//!
//! This is the only file that reads the environment. `docs/config.md` is printed from the same list.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use domain::Secret;
use ipnet::IpNet;
use serde::Deserialize;

/// What an option's text in the environment stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    /// Separated by commas.
    List,
    Integer,
    Flag,
}

/// One option, as the documentation shows it.
struct OptionDoc {
    name: &'static str,
    kind: Kind,
    default: &'static str,
    doc: &'static str,
}

macro_rules! options {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty, $kind:ident, $default_text:literal = $default:expr;)*) => {
        /// Every option with its value.
        #[derive(Debug, Clone, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Config {$(
            $(#[doc = $doc])+
            pub $name: $type,
        )*}

        impl Default for Config {
            fn default() -> Self {
                Self {$($name: $default,)*}
            }
        }

        const OPTIONS: &[OptionDoc] = &[$(
            OptionDoc {
                name: stringify!($name),
                kind: Kind::$kind,
                default: $default_text,
                doc: concat!($($doc, "\n"),+),
            },
        )*];
    };
}

/// Which forms of key submission the instance takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Submission {
    /// Sealed boxes everywhere; plain text over TLS or loopback.
    Both,
    /// Sealed boxes only.
    SealedOnly,
}

/// Whether a key is tried at its provider before it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// One token is asked for; a key that fails is not stored.
    Required,
    /// Keys are stored untried, for networks without a way to the provider.
    Off,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

options! {
    /// Address and port to listen on. Port 0 takes a free one.
    listen: String, Text, "`127.0.0.1:4356`" = "127.0.0.1:4356".to_owned();
    /// The address under which clients reach this instance, such as `https://ai.example.com`.
    /// Used in links. While it is unset and `listen` is a loopback address, requests for another host are refused.
    public_url: Option<String>, Text, "none" = None;
    /// Directory of the embedded database and the root key. Created for its owner only.
    data_dir: PathBuf, Text, "`data`" = PathBuf::from("data");
    /// `sqlite:///absolute/path.db` or `postgres://user@host/database`.
    database_url: Option<String>, Text, "`keybearer.db` in `data_dir`" = None;
    /// File with the root key: 32 raw bytes, owner-only, in a directory that others cannot write.
    /// Created at the first start.
    root_key_file: Option<PathBuf>, Text, "`root.key` in `data_dir`" = None;
    /// A command and its arguments whose output is the root key as base64 text, such as `base64,/etc/keybearer/root.key`
    /// in the environment.
    root_key_command: Vec<String>, List, "none" = Vec::new();
    /// Directory with provider files of your own (`*.toml`); see [providers](providers.md).
    providers_dir: Option<PathBuf>, Text, "none" = None;
    /// `both` takes provider keys as sealed boxes, and in plain text over TLS or loopback; `sealed_only` takes boxes only.
    submission: Submission, Text, "`both`" = Submission::Both;
    /// `required` tries each provider key with one token before it is stored; `off` stores it untried.
    probe: Probe, Text, "`required`" = Probe::Required;
    /// Whether a provider key may name a base URL of its own.
    custom_base_urls: bool, Flag, "`false`" = false;
    /// Networks that are not public and that provider keys may be sent to all the same, in CIDR form.
    /// Cloud metadata addresses stay refused.
    allow_addresses: Vec<IpNet>, List, "none" = Vec::new();
    /// Whether `X-Forwarded-Proto: https` from whoever connects counts as TLS.
    /// Only behind a proxy that sets the header itself.
    trust_forwarded_proto: bool, Flag, "`false`" = false;
    /// Days until the sealing key is replaced.
    sealing_key_days: u32, Integer, "`90`" = 90;
    /// Largest request body on the data plane, in bytes.
    max_body_bytes: u64, Integer, "`33554432`" = 32 * 1024 * 1024;
    /// Most connections at once; more are answered with 503.
    max_connections: u32, Integer, "`4096`" = 4096;
    /// Milliseconds to connect to a provider, TLS included.
    connect_timeout_ms: u64, Integer, "`10000`" = 10_000;
    /// Milliseconds until a provider's response begins.
    first_byte_timeout_ms: u64, Integer, "`300000`" = 300_000;
    /// Milliseconds without a byte after which a response is given up.
    idle_timeout_ms: u64, Integer, "`120000`" = 120_000;
    /// Milliseconds for one call as a whole.
    total_timeout_ms: u64, Integer, "`3600000`" = 3_600_000;
    /// Milliseconds for which known API keys go on being served while the database is away.
    max_staleness_ms: u64, Integer, "`60000`" = 60_000;
    /// Milliseconds that running requests have to finish at shutdown.
    drain_timeout_ms: u64, Integer, "`30000`" = 30_000;
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,gateway=debug`.
    log: String, Text, "`info`" = "info".to_owned();
    /// `text` or `json`.
    log_format: LogFormat, Text, "`text`" = LogFormat::Text;
}

const ROOT_KEY_VARIABLE: &str = "KEYBEARER_ROOT_KEY";
const CONFIG_VARIABLE: &str = "KEYBEARER_CONFIG";
/// The address of the server that the commands talk to.
pub const URL_VARIABLE: &str = "KEYBEARER_URL";
/// The API key that the commands present.
pub const API_KEY_VARIABLE: &str = "KEYBEARER_API_KEY";
/// The workspace that the commands are about.
pub const WORKSPACE_VARIABLE: &str = "KEYBEARER_WORKSPACE";
/// What begins like an option and is none.
const OTHER_VARIABLES: [&str; 5] = [
    ROOT_KEY_VARIABLE,
    CONFIG_VARIABLE,
    URL_VARIABLE,
    API_KEY_VARIABLE,
    WORKSPACE_VARIABLE,
];

/// The configuration and what came with it from the environment only.
pub struct Loaded {
    /// The options.
    pub config: Config,
    /// `KEYBEARER_ROOT_KEY`, if set: never an option of the file.
    pub root_key: Option<Secret>,
}

/// Reads the file (given, or named by `KEYBEARER_CONFIG`, or none) and then the environment.
pub fn load(file: Option<&Path>) -> anyhow::Result<Loaded> {
    check_environment()?;
    let file = file
        .map(Path::to_owned)
        .or_else(|| variable(CONFIG_VARIABLE).map(PathBuf::from));
    let text = match &file {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration file {}", path.display()))?,
        None => String::new(),
    };
    let config = merge(&text, variable).with_context(|| match &file {
        Some(path) => format!("configuration file {}", path.display()),
        None => "configuration from the environment".to_owned(),
    })?;
    Ok(Loaded {
        config,
        root_key: variable(ROOT_KEY_VARIABLE).map(Secret::from_text),
    })
}

/// A variable of the environment; an empty one counts as unset.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one file that reads the environment"
)]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Refuses variables that look like options and are none: a misspelled one would be silently without effect.
fn check_environment() -> anyhow::Result<()> {
    for name in names() {
        if let Some(nearest) = unknown(&name) {
            bail!("{name} is not an option{nearest}");
        }
    }
    Ok(())
}

/// `None` if the name is known or not ours; else what to say of it.
fn unknown(name: &str) -> Option<String> {
    let ours = name.strip_prefix("KEYBEARER_")?;
    let option = |option: &&OptionDoc| option.name.eq_ignore_ascii_case(ours);
    if OTHER_VARIABLES.contains(&name) || OPTIONS.iter().any(|entry| option(&entry)) {
        return None;
    }
    let alike = |entry: &&OptionDoc| {
        let (longer, shorter) = (entry.name.to_uppercase(), ours.to_owned());
        longer.starts_with(&shorter[..shorter.len().min(4)])
    };
    let nearest = OPTIONS
        .iter()
        .find(alike)
        .map(|entry| variable_name(entry.name));
    Some(nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest}?")))
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one file that reads the environment"
)]
fn names() -> Vec<String> {
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .collect()
}

fn merge(text: &str, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Config> {
    // Parsed on its own first: this error has the line and the column.
    toml::from_str::<Config>(text)?;
    let mut table: toml::Table = toml::from_str(text)?;
    for option in OPTIONS {
        let name = variable_name(option.name);
        let Some(value) = variable(&name) else {
            continue;
        };
        let value = match option.kind {
            Kind::Text => toml::Value::String(value),
            Kind::List => {
                let items = value
                    .split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty());
                toml::Value::Array(
                    items
                        .map(|item| toml::Value::String(item.to_owned()))
                        .collect(),
                )
            }
            Kind::Integer => match value.parse() {
                Ok(number) => toml::Value::Integer(number),
                Err(_) => bail!("{name} must be a whole number"),
            },
            Kind::Flag => match value.parse() {
                Ok(flag) => toml::Value::Boolean(flag),
                Err(_) => bail!("{name} must be true or false"),
            },
        };
        let mut alone = toml::Table::new();
        alone.insert(option.name.to_owned(), value.clone());
        Config::deserialize(alone).with_context(|| name.clone())?;
        table.insert(option.name.to_owned(), value);
    }
    let config = Config::deserialize(table)?;
    for (name, value, least, most) in [
        (
            "sealing_key_days",
            u64::from(config.sealing_key_days),
            1,
            3650,
        ),
        ("max_body_bytes", config.max_body_bytes, 1024, 1 << 30),
        (
            "max_connections",
            u64::from(config.max_connections),
            1,
            1_000_000,
        ),
        ("connect_timeout_ms", config.connect_timeout_ms, 1, DAY_MS),
        (
            "first_byte_timeout_ms",
            config.first_byte_timeout_ms,
            1,
            DAY_MS,
        ),
        ("idle_timeout_ms", config.idle_timeout_ms, 1, DAY_MS),
        ("total_timeout_ms", config.total_timeout_ms, 1, DAY_MS),
        ("max_staleness_ms", config.max_staleness_ms, 0, DAY_MS),
        ("drain_timeout_ms", config.drain_timeout_ms, 0, DAY_MS),
    ] {
        if !(least..=most).contains(&value) {
            bail!("option {name} must be {least} to {most}, not {value}");
        }
    }
    Ok(config)
}

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn variable_name(option: &str) -> String {
    format!("KEYBEARER_{}", option.to_uppercase())
}

/// `docs/config.md`.
pub fn reference() -> String {
    let mut text = String::from(
        "# Configuration\n\n\
         <!-- Generated by `make generate`; do not edit. -->\n\n\
         Every option can stand in a TOML file (`keybearer serve --config FILE`, or the file named by\n\
         `KEYBEARER_CONFIG`) and in the environment; the environment wins. An option that is not in this list is\n\
         refused, with the line it stands in. Lists in the environment are separated by commas.\n\n\
         The root key itself can come from `KEYBEARER_ROOT_KEY` (32 bytes as base64 text); it is never an option of\n\
         the file. See [the vault](vault-format.md) for what it protects.\n\n\
         | option | environment | default | meaning |\n|---|---|---|---|\n",
    );
    for option in OPTIONS {
        let meaning = option
            .doc
            .split('\n')
            .map(str::trim)
            .collect::<Vec<_>>()
            .join(" ");
        let name = option.name;
        text.push_str(&format!(
            "| `{name}` | `{}` | {} | {} |\n",
            variable_name(name),
            option.default,
            meaning.trim()
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(text: &str, variables: &[(&str, &str)]) -> anyhow::Result<Config> {
        merge(text, |name| {
            variables
                .iter()
                .find(|(variable, _)| *variable == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let config = merged(
            "listen = '127.0.0.1:1'\nlog = 'warn'",
            &[("KEYBEARER_LISTEN", "127.0.0.1:2")],
        );
        let config = config.expect("a valid configuration");
        assert_eq!(
            (config.listen.as_str(), config.log.as_str()),
            ("127.0.0.1:2", "warn")
        );
    }

    #[test]
    fn unknown_options_are_refused_with_their_line() {
        let error = merged("log = 'info'\nlisen = 'x'", &[])
            .expect_err("a typo")
            .to_string();
        assert!(
            error.contains("line 2") && error.contains("lisen"),
            "{error}"
        );
    }

    #[test]
    fn wrong_values_name_their_variable() {
        for (name, value) in [
            ("KEYBEARER_SEALING_KEY_DAYS", "soon"),
            ("KEYBEARER_SEALING_KEY_DAYS", "-1"),
            ("KEYBEARER_CUSTOM_BASE_URLS", "yes"),
            ("KEYBEARER_PROBE", "maybe"),
            ("KEYBEARER_ALLOW_ADDRESSES", "10.0.0.0/33"),
        ] {
            let error = format!(
                "{:#}",
                merged("", &[(name, value)]).expect_err("a wrong value")
            );
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn numbers_have_a_range() {
        for text in [
            "sealing_key_days = 0",
            "max_body_bytes = 2000000000",
            "connect_timeout_ms = 0",
        ] {
            assert!(merged(text, &[]).is_err(), "{text}");
        }
    }

    #[test]
    fn misspelled_variables_are_named_with_the_nearest_option() {
        let said = unknown("KEYBEARER_SUBMISION").expect("a misspelled option");
        assert!(said.contains("KEYBEARER_SUBMISSION"), "{said}");
        assert!(unknown("KEYBEARER_XYZ").is_some());
        for known in [
            "KEYBEARER_SUBMISSION",
            "KEYBEARER_ROOT_KEY",
            "KEYBEARER_URL",
            "PATH",
        ] {
            assert_eq!(unknown(known), None, "{known}");
        }
    }

    #[test]
    fn the_root_key_is_not_an_option_of_the_file() {
        assert!(merged("root_key = 'x'", &[]).is_err());
    }

    #[test]
    fn the_documented_defaults_are_the_defaults() {
        for option in OPTIONS {
            let Some(text) = option
                .default
                .strip_prefix('`')
                .and_then(|text| text.strip_suffix('`'))
            else {
                continue;
            };
            if option.default.contains("` in `") {
                continue;
            }
            let quoted = if option.kind == Kind::Text {
                format!("'{text}'")
            } else {
                text.to_owned()
            };
            let config =
                merged(&format!("{} = {quoted}", option.name), &[]).expect("a documented default");
            assert_eq!(
                format!("{config:?}"),
                format!("{:?}", Config::default()),
                "{}",
                option.name
            );
        }
    }
}
