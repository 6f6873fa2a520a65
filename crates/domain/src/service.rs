//! What a workspace has its machines run: scripts that set a machine up, and services that are kept running.
//!
//! Whoever writes these decides what code runs on every machine that starts the workspace. So each part has a form and a
//! limit here, and the names of variables are those of [`variable`].

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::policy::words;
use crate::variable::{self, KEY_NAMES, MAX_VALUE_BYTES, VariableName};

/// The most scripts that a workspace holds.
pub const MAX_SCRIPTS: i64 = 50;
/// The most services that a workspace holds.
pub const MAX_SERVICES: i64 = 50;
/// The longest script, in bytes.
pub const MAX_SCRIPT_BYTES: usize = 64 * 1024;
/// The highest place in the order of scripts.
pub const MAX_ORDER: u16 = 9_999;
/// The most words of a command.
pub const MAX_WORDS: usize = 64;
/// The longest command, in bytes of all its words.
pub const MAX_COMMAND_BYTES: usize = 8 * 1024;
/// The most variables of a service.
pub const MAX_VARIABLES: usize = 64;
/// The longest variables of a service, in bytes of all their values.
pub const MAX_VARIABLES_BYTES: usize = 64 * 1024;

/// The longest name, in bytes.
const MAX_NAME_BYTES: usize = 40;

words! {
    /// When a script runs.
    RunOn("time for a script") {
        /// Once on each machine: at the first start on which it is there.
        FirstBoot = "first_boot",
        /// At every start.
        EveryStart = "every_start",
    }

    /// What happens when a service ends by itself.
    Restart("restart policy") {
        /// It is started again.
        Always = "always",
        /// It is started again unless it ended with the exit code 0.
        OnFailure = "on-failure",
        /// It stays ended.
        No = "no",
    }
}

/// Why a part of a script or a service is refused. Says nothing of the part itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A name goes into names of files, units and containers.
    #[error(
        "the name of a script or a service has 1 to {MAX_NAME_BYTES} characters of a-z, 0-9 and hyphens, beginning with a letter and ending with none of the hyphens"
    )]
    Name,
    /// A script's text.
    #[error("a script has 1 to {MAX_SCRIPT_BYTES} bytes, without NUL")]
    Script,
    /// A script's place.
    #[error("an order is 0 to {MAX_ORDER}")]
    Order,
    /// A service's command.
    #[error(
        "a command has 1 to {MAX_WORDS} words, the first of them not empty, of at most {MAX_COMMAND_BYTES} bytes together, without control characters"
    )]
    Command,
    /// Too many variables, or too long ones.
    #[error(
        "a service has at most {MAX_VARIABLES} variables, of at most {MAX_VALUE_BYTES} bytes each and {MAX_VARIABLES_BYTES} together, without NUL"
    )]
    Variables,
    /// The name of a variable that may decide too much, or that is none.
    #[error(
        "a variable's name has 1 to 64 characters of A-Z, 0-9 and underscore, beginning with a letter, and decides neither what code runs, nor whom it trusts, nor where it sends"
    )]
    Variable,
    /// The gateway's key stands there.
    #[error("a variable's name is not one in which the gateway's key is handed over")]
    Pinned,
}

/// What a script or a service is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceName(Box<str>);

impl ServiceName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ServiceName {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Self, Refused> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let formed = (1..=MAX_NAME_BYTES).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && !text.ends_with('-')
            && text.bytes().all(fits);
        if formed {
            Ok(Self(text.into()))
        } else {
            Err(Refused::Name)
        }
    }
}

impl TryFrom<String> for ServiceName {
    type Error = Refused;

    fn try_from(text: String) -> Result<Self, Refused> {
        text.parse()
    }
}

impl From<ServiceName> for String {
    fn from(name: ServiceName) -> Self {
        name.0.into()
    }
}

/// The text of a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScriptText(Box<str>);

impl ScriptText {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ScriptText {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Self, Refused> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for ScriptText {
    type Error = Refused;

    fn try_from(text: String) -> Result<Self, Refused> {
        if (1..=MAX_SCRIPT_BYTES).contains(&text.len()) && !text.contains('\0') {
            Ok(Self(text.into()))
        } else {
            Err(Refused::Script)
        }
    }
}

impl From<ScriptText> for String {
    fn from(text: ScriptText) -> Self {
        text.0.into()
    }
}

/// A place in the order of scripts: lower ones run first, equal ones by name.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "u16", into = "u16")]
pub struct Order(u16);

impl TryFrom<u16> for Order {
    type Error = Refused;

    fn try_from(order: u16) -> Result<Self, Refused> {
        (order <= MAX_ORDER)
            .then_some(Self(order))
            .ok_or(Refused::Order)
    }
}

impl From<Order> for u16 {
    fn from(order: Order) -> Self {
        order.0
    }
}

/// A program and its arguments. No shell reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct CommandLine(Vec<String>);

impl CommandLine {
    /// The program: a name that is looked for in `PATH`, or a path.
    pub fn program(&self) -> &str {
        &self.0[0]
    }

    /// Its arguments.
    pub fn arguments(&self) -> &[String] {
        &self.0[1..]
    }

    /// The program and its arguments.
    pub fn words(&self) -> &[String] {
        &self.0
    }
}

impl TryFrom<Vec<String>> for CommandLine {
    type Error = Refused;

    fn try_from(words: Vec<String>) -> Result<Self, Refused> {
        let bytes: usize = words.iter().map(String::len).sum();
        // A line break in a word would begin another line of a unit's file.
        let plain = |word: &String| !word.chars().any(char::is_control);
        let formed = (1..=MAX_WORDS).contains(&words.len())
            && !words[0].is_empty()
            && bytes <= MAX_COMMAND_BYTES
            && words.iter().all(plain);
        formed.then_some(Self(words)).ok_or(Refused::Command)
    }
}

impl From<CommandLine> for Vec<String> {
    fn from(command: CommandLine) -> Self {
        command.0
    }
}

/// Variables of a service's own, beside those in which it finds the gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    try_from = "BTreeMap<String, String>",
    into = "BTreeMap<String, String>"
)]
pub struct Variables(BTreeMap<VariableName, String>);

impl Variables {
    /// Those that were taken once: a name that came onto the list of refused ones since then is told, and is refused where
    /// it would be run.
    ///
    /// # Errors
    /// [`Refused::Variable`] for what is no name.
    pub fn stored(variables: BTreeMap<String, String>) -> Result<Self, Refused> {
        let named = variables.into_iter().map(|(name, value)| {
            let name = VariableName::stored(&name).map_err(|_| Refused::Variable)?;
            Ok((name, value))
        });
        named.collect::<Result<_, _>>().map(Self)
    }

    /// Each with its value, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let each = self.0.iter();
        each.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<BTreeMap<String, String>> for Variables {
    type Error = Refused;

    fn try_from(variables: BTreeMap<String, String>) -> Result<Self, Refused> {
        let bytes: usize = variables.values().map(String::len).sum();
        let fit = variables.len() <= MAX_VARIABLES && bytes <= MAX_VARIABLES_BYTES;
        if !fit
            || variables
                .values()
                .any(|it| variable::check_value(it).is_err())
        {
            return Err(Refused::Variables);
        }
        let checked = variables.into_iter().map(|(name, value)| {
            if KEY_NAMES.contains(&name.as_str()) {
                return Err(Refused::Pinned);
            }
            let name = name.parse().map_err(|_| Refused::Variable)?;
            Ok((name, value))
        });
        checked.collect::<Result<_, _>>().map(Self)
    }
}

impl From<Variables> for BTreeMap<String, String> {
    fn from(variables: Variables) -> Self {
        let each = variables.0.into_iter();
        each.map(|(name, value)| (name.as_str().to_owned(), value))
            .collect()
    }
}

/// A script, as its writer says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// What it is called; no other script of the workspace is.
    pub name: ServiceName,
    /// When it runs.
    pub run_on: RunOn,
    /// Its place among the scripts.
    pub order: Order,
    /// Its text.
    pub content: ScriptText,
}

/// A service, as its writer says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// What it is called; no other service of the workspace is.
    pub name: ServiceName,
    /// What runs.
    pub command: CommandLine,
    /// Its own variables.
    pub env: Variables,
    /// What happens when it ends by itself.
    pub restart: Restart,
    /// Whether a start of the workspace starts it.
    pub auto_enable: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_into_names_of_files_units_and_containers() {
        for good in ["a", "web", "web-2", &"a".repeat(MAX_NAME_BYTES)] {
            let name = good.parse::<ServiceName>();
            assert_eq!(name.as_ref().map(ServiceName::as_str), Ok(good));
        }
        for bad in [
            "",
            "-a",
            "a-",
            "2a",
            "A",
            "a b",
            "a/b",
            "../a",
            "a.b",
            "a_b",
            "a\n",
            "ä",
            "a%i",
            &"a".repeat(MAX_NAME_BYTES + 1),
        ] {
            assert_eq!(bad.parse::<ServiceName>(), Err(Refused::Name), "{bad:?}");
        }
    }

    #[test]
    fn scripts_and_commands_have_limits() {
        let longest = "x".repeat(MAX_SCRIPT_BYTES);
        assert!(longest.parse::<ScriptText>().is_ok());
        for bad in ["", "a\0", &"x".repeat(MAX_SCRIPT_BYTES + 1)] {
            assert_eq!(bad.parse::<ScriptText>(), Err(Refused::Script));
        }
        let command = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            CommandLine::try_from(words)
        };
        let run = command(&["sh", "-c", "", "ü"]).expect("a command");
        assert_eq!((run.program(), run.arguments().len()), ("sh", 3));
        assert!(command(&["x"; MAX_WORDS]).is_ok());
        for bad in [
            &[][..],
            &[""],
            &["a", "b\nc"],
            &["a", "b\0"],
            &["x"; MAX_WORDS + 1],
            &[&"x".repeat(MAX_COMMAND_BYTES + 1)],
        ] {
            assert_eq!(command(bad), Err(Refused::Command));
        }
        assert!(Order::try_from(MAX_ORDER).is_ok());
        assert_eq!(Order::try_from(MAX_ORDER + 1), Err(Refused::Order));
    }

    #[test]
    fn variables_that_decide_too_much_are_refused() {
        let variables = |name: &str, value: &str| {
            Variables::try_from(BTreeMap::from([(name.to_owned(), value.to_owned())]))
        };
        assert!(variables("PORT", "8080").is_ok());
        for name in [
            "LD_PRELOAD",
            "PATH",
            "OPENAI_BASE_URL",
            "KEYBEARER_URL",
            "a",
            "",
        ] {
            assert_eq!(variables(name, "x"), Err(Refused::Variable), "{name}");
        }
        assert_eq!(variables("OPENAI_API_KEY", "x"), Err(Refused::Pinned));
        assert_eq!(variables("A", "a\0"), Err(Refused::Variables));
        let many = |count: usize, value: &str| {
            let each = (0..count).map(|number| (format!("A{number}"), value.to_owned()));
            Variables::try_from(each.collect::<BTreeMap<_, _>>())
        };
        assert!(many(MAX_VARIABLES, "").is_ok());
        assert_eq!(many(MAX_VARIABLES + 1, ""), Err(Refused::Variables));
        let third = "x".repeat(MAX_VARIABLES_BYTES / 3 + 1);
        assert_eq!(many(3, &third), Err(Refused::Variables));
    }

    #[test]
    fn words_parse_back() {
        for it in RunOn::ALL {
            assert_eq!(it.as_str().parse(), Ok(*it));
        }
        for it in Restart::ALL {
            assert_eq!(it.as_str().parse(), Ok(*it));
        }
    }
}
