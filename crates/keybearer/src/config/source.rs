//! Reads the options: from a TOML file, then from the environment, each checked against its range.
//!
//! This is the only file that reads the environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use domain::Secret;
use serde::Deserialize;

use super::{Config, Kind, OPTIONS, OptionDoc, variable_name};

const ROOT_KEY_VARIABLE: &str = "KEYBEARER_ROOT_KEY";
const CONFIG_VARIABLE: &str = "KEYBEARER_CONFIG";
/// The address of the server that the commands talk to.
pub const URL_VARIABLE: &str = "KEYBEARER_URL";
/// The API key that the commands present.
pub const API_KEY_VARIABLE: &str = "KEYBEARER_API_KEY";
/// The workspace that the commands are about.
pub const WORKSPACE_VARIABLE: &str = "KEYBEARER_WORKSPACE";
/// The directory of the file of logins.
pub const CONFIG_DIR_VARIABLE: &str = "KEYBEARER_CONFIG_DIR";
/// The directory in which local mode keeps what it must know again.
const HOME_VARIABLE: &str = "KEYBEARER_HOME";
/// What begins like an option and is none.
const OTHER_VARIABLES: &[&str] = &[
    ROOT_KEY_VARIABLE,
    CONFIG_VARIABLE,
    URL_VARIABLE,
    API_KEY_VARIABLE,
    WORKSPACE_VARIABLE,
    CONFIG_DIR_VARIABLE,
    HOME_VARIABLE,
];

/// The configuration and what came with it from the environment only.
pub struct Loaded {
    /// The options.
    pub config: Config,
    /// Where they were read, to read them again.
    pub origin: Origin,
    /// `KEYBEARER_ROOT_KEY`, if set: never an option of the file.
    pub root_key: Option<Secret>,
}

/// Where options were read, and what they were.
#[derive(Clone)]
pub struct Origin {
    file: Option<PathBuf>,
    defaults: toml::Table,
    read: Config,
}

impl Origin {
    /// Reads them again, and gives them with the names of those that are not what the process runs with.
    pub fn again(&self) -> anyhow::Result<(Config, Vec<&'static str>)> {
        let new = read(self.file.as_deref(), &self.defaults)?;
        let changed = self.read.differences(&new);
        Ok((new, changed))
    }

    /// From now on the process runs with this filter of the log.
    pub fn took_log(&mut self, log: &str) {
        log.clone_into(&mut self.read.log);
    }
}

/// Reads the file (given, or named by `KEYBEARER_CONFIG`, or none) and then the environment.
pub fn load(file: Option<&Path>) -> anyhow::Result<Loaded> {
    load_over(file, &toml::Table::new())
}

/// As [`load`], for local mode: unless said otherwise, data is kept in the state directory and keys are stored untried.
pub fn load_local(file: Option<&Path>) -> anyhow::Result<Loaded> {
    let home = home()?;
    let home = home.to_str().context("the state directory is not UTF-8")?;
    let text = |text: &str| toml::Value::String(text.to_owned());
    let mut defaults = toml::Table::new();
    defaults.insert("data_dir".to_owned(), text(home));
    defaults.insert("probe".to_owned(), text("off"));
    load_over(file, &defaults)
}

/// Where local mode keeps its state: `KEYBEARER_HOME`, else [`state_home`].
fn home() -> anyhow::Result<PathBuf> {
    if let Some(home) = variable(HOME_VARIABLE) {
        let home = PathBuf::from(home);
        // It would name another instance in each directory, and every shell is to find the same one.
        ensure!(
            home.is_absolute(),
            "{HOME_VARIABLE} is not an absolute path"
        );
        return Ok(home);
    }
    state_home().with_context(|| format!("neither {HOME_VARIABLE} nor HOME is set"))
}

/// `keybearer` in the state directory of the XDG base directory specification.
pub fn state_home() -> Option<PathBuf> {
    let state = absolute("XDG_STATE_HOME").or_else(default_state);
    Some(state?.join("keybearer"))
}

fn default_state() -> Option<PathBuf> {
    Some(absolute("HOME")?.join(".local/state"))
}

/// The specification ignores relative paths.
fn absolute(name: &str) -> Option<PathBuf> {
    let path = variable(name).map(PathBuf::from);
    path.filter(|it| it.is_absolute())
}

/// Every directory in which this user's local mode may keep its state: that of this environment, and those of one that
/// says less.
pub fn local_homes() -> Vec<PathBuf> {
    let named = absolute(HOME_VARIABLE);
    let default = default_state().map(|state| state.join("keybearer"));
    named
        .into_iter()
        .chain(state_home())
        .chain(default)
        .collect()
}

/// Those of the variables with these names that are set, as secrets.
pub fn secrets<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<String, Secret> {
    let set = names.filter_map(|name| Some((name.to_owned(), Secret::from_text(variable(name)?))));
    set.collect()
}

/// The parent process, and those of the variables with the names that were asked for which it was started with.
pub struct Parent {
    /// Its id.
    pub process: i32,
    /// The variables.
    pub variables: BTreeMap<String, Secret>,
}

/// The parent process, where the operating system shows its environment (Linux does, to the same user): the one that it
/// was started with, whatever it has exported since.
pub fn parent<'a>(names: impl Iterator<Item = &'a str>) -> Option<Parent> {
    const MAX_BYTES: u64 = 4 * 1024 * 1024;
    let process = rustix::process::getppid()?.as_raw_nonzero().get();
    let file = std::fs::File::open(format!("/proc/{process}/environ")).ok()?;
    let mut block = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut block).ok()?;
    let block = Secret::new(block);
    let variables = block.expose(|block| {
        let value = |name: &str| {
            let mut entries = block.split(|byte| *byte == 0);
            let value = entries.find_map(|it| it.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
            value.filter(|value| !value.is_empty())
        };
        let set =
            names.filter_map(|name| Some((name.to_owned(), Secret::new(value(name)?.to_vec()))));
        set.collect()
    });
    Some(Parent { process, variables })
}

fn load_over(file: Option<&Path>, defaults: &toml::Table) -> anyhow::Result<Loaded> {
    check_environment()?;
    let file = file
        .map(Path::to_owned)
        .or_else(|| variable(CONFIG_VARIABLE).map(PathBuf::from));
    let config = read(file.as_deref(), defaults)?;
    Ok(Loaded {
        origin: Origin {
            file,
            defaults: defaults.clone(),
            read: config.clone(),
        },
        config,
        root_key: variable(ROOT_KEY_VARIABLE).map(Secret::from_text),
    })
}

fn read(file: Option<&Path>, defaults: &toml::Table) -> anyhow::Result<Config> {
    let text = match file {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration file {}", path.display()))?,
        None => String::new(),
    };
    merge(&text, defaults, variable).with_context(|| match file {
        Some(path) => format!("configuration file {}", path.display()),
        None => "configuration from the environment".to_owned(),
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

/// A variable of the environment, empty or not, for a program that gets it.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one file that reads the environment"
)]
pub fn variable_as_it_is(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The whole environment, for what a program inherits of it.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one file that reads the environment"
)]
pub fn environment() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os()
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
    // A provider's key, for local mode; of which provider, only the provider files say.
    let is_key = ours.ends_with("_API_KEY");
    if is_key || OTHER_VARIABLES.contains(&name) || OPTIONS.iter().any(|entry| option(&entry)) {
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

fn merge(
    text: &str,
    defaults: &toml::Table,
    variable: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<Config> {
    // Parsed on its own first: this error has the line and the column.
    toml::from_str::<Config>(text)?;
    let mut table = defaults.clone();
    table.extend(toml::from_str::<toml::Table>(text)?);
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
            u64::from(config.max_connections.unwrap_or(1)),
            1,
            1_000_000,
        ),
        (
            "max_calls_per_key",
            u64::from(config.max_calls_per_key),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(text: &str, variables: &[(&str, &str)]) -> anyhow::Result<Config> {
        merge(text, &toml::Table::new(), |name| {
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
            "max_calls_per_key = 0",
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
            "KEYBEARER_MY_PROVIDER_API_KEY",
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
