//! Configuration: one flat list of options, and the reference that is printed from it (`docs/config.md`).
//!
//! `source` reads them, from a TOML file and then from the environment.

mod source;

use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use source::{
    API_KEY_VARIABLE, CONFIG_DIR_VARIABLE, Loaded, Origin, Parent, URL_VARIABLE,
    WORKSPACE_VARIABLE, environment, load, load_local, local_homes, parent, secrets, state_home,
    variable, variable_as_it_is,
};

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
        #[derive(Debug, Clone, Deserialize, Serialize)]
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

        impl Config {
            /// The names of the options whose values are others in `new`.
            pub fn differences(&self, new: &Self) -> Vec<&'static str> {
                let mut names = Vec::new();
                $(if self.$name != new.$name {
                    names.push(stringify!($name));
                })*
                names
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Submission {
    /// Sealed boxes everywhere; plain text over TLS or loopback.
    Both,
    /// Sealed boxes only.
    SealedOnly,
}

/// Whether a key is tried at its provider before it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// One token is asked for; a key that fails is not stored.
    Required,
    /// Keys are stored untried, for networks without a way to the provider.
    Off,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
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
    /// Directory of the embedded database, the root key and the usage spool. Created for its owner only.
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
    /// Most connections at once; more are answered with 503. Each takes two open files: by default there are fewer where
    /// the operating system allows too few files, and a number that does not fit is refused at the start.
    max_connections: Option<u32>, Integer, "`4096`, or what fits" = None;
    /// Most calls at once with one API key, counted by each process; more are answered with 429. A stream is a call until it ends.
    max_calls_per_key: u32, Integer, "`256`" = 256;
    /// Milliseconds to connect to a provider, TLS included.
    connect_timeout_ms: u64, Integer, "`10000`" = 10_000;
    /// Milliseconds until a provider's response begins, for each attempt of a call; of a long upload, from its last byte.
    first_byte_timeout_ms: u64, Integer, "`300000`" = 300_000;
    /// Milliseconds without a byte of a response, or of a long upload to the provider, after which the call is given up.
    idle_timeout_ms: u64, Integer, "`120000`" = 120_000;
    /// Milliseconds for one call as a whole.
    total_timeout_ms: u64, Integer, "`3600000`" = 3_600_000;
    /// Milliseconds for which known API keys go on being served while the database is away.
    max_staleness_ms: u64, Integer, "`60000`" = 60_000;
    /// Whether all memory of the server is kept out of swap. It must be allowed to lock as much as it likes; if it is
    /// not, it does not start.
    lock_memory: bool, Flag, "`false`" = false;
    /// Milliseconds that running requests have to finish at shutdown.
    drain_timeout_ms: u64, Integer, "`30000`" = 30_000;
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,gateway=debug`.
    log: String, Text, "`info`" = "info".to_owned();
    /// `text` or `json`.
    log_format: LogFormat, Text, "`text`" = LogFormat::Text;
}

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
