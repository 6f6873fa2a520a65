//! What went wrong in the command line, sorted by what its caller does next: each sort has an exit code.

use std::fmt;
use std::process::ExitCode;

use reqwest::StatusCode;
use serde_json::{Value, json};

/// The exit codes, as every long help shows them.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed, or the answer is no (such as `resolve` where nothing would serve)
  2  wrong arguments
  3  nobody agreed: the question was answered with no, or there was nobody to ask and no --yes
  4  not logged in, or the credential is not valid (any more)
  5  not allowed
  6  not there
  7  the server does not answer, or says that it cannot at the moment, or something else answers in its place
130  interrupted

`run` and `launch` end as the program does: with its code, with 128 and the signal's number where a signal ended it, with
126 where it cannot be run and with 127 where there is none of that name.

Errors and remarks are on standard error. With --json there are no remarks, and an error is one JSON object.";

/// What the server says of an operation that no API key may do.
const NEEDS_LOG_IN: &str = "a log-in";
/// What to do then.
const LOG_IN: &str =
    "keybearer login (with KEYBEARER_API_KEY unset), or --email ADDRESS for this one command";

/// The exit code of a command that was interrupted: what shells make of SIGINT.
pub(crate) const INTERRUPTED: i32 = 130;

/// What a failure means for whoever ran the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Failed = 1,
    Usage = 2,
    Declined = 3,
    NotLoggedIn = 4,
    Denied = 5,
    Missing = 6,
    Unreachable = 7,
}

/// A failure with what is known of it beyond its text.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    sort: Sort,
    message: String,
    code: Option<String>,
    suggestion: Option<String>,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(sort: Sort, message: impl Into<String>) -> Self {
        Self {
            sort,
            message: message.into(),
            code: None,
            suggestion: None,
            hint: None,
        }
    }

    /// Arguments that do not fit, which only the command itself could see.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Sort::Usage, message)
    }

    /// A command that changes what its options name, and was given none.
    pub(crate) fn nothing_to_change(command: &str) -> Self {
        let hint = format!("keybearer {command} --help shows what can be");
        Self::usage("nothing to change").hint(hint)
    }

    /// What to do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The stable code of what happened.
    #[must_use]
    pub(crate) fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// What may have been meant.
    #[must_use]
    pub(crate) fn suggestion(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }

    /// A refusal of the server: a problem document, or an error in the form of a provider's API.
    pub(crate) fn refused(status: StatusCode, body: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let error = &body["error"];
        let message = text(&body["detail"])
            .or_else(|| text(&body["title"]))
            .or_else(|| text(&error["message"]));
        let code = text(&body["code"]).or_else(|| text(&error["code"]));
        Self {
            sort: match status.as_u16() {
                401 => Sort::NotLoggedIn,
                403 => Sort::Denied,
                404 => Sort::Missing,
                502..=504 => Sort::Unreachable,
                _ => Sort::Failed,
            },
            message: message.unwrap_or_else(|| "the server gave no reason".to_owned()),
            code: code.or_else(|| Some(status.as_u16().to_string())),
            suggestion: text(&body["details"]["suggestion"]),
            hint: match Self::needs_log_in(body) {
                true => Some(LOG_IN.to_owned()),
                false => text(&body["hint"]),
            },
        }
    }

    /// Whether a refusal is of what no API key may do.
    pub(crate) fn needs_log_in(body: &Value) -> bool {
        body["details"]["needs"] == NEEDS_LOG_IN
    }

    /// Whether an error is the server's refusal with this code.
    pub(crate) fn has_code(error: &anyhow::Error, code: &str) -> bool {
        Self::of(error).is_some_and(|failure| failure.code.as_deref() == Some(code))
    }

    /// Which sort of failure an error is.
    pub(crate) fn sort_of(error: &anyhow::Error) -> Sort {
        Self::of(error).map_or(Sort::Failed, |failure| failure.sort)
    }

    fn of(error: &anyhow::Error) -> Option<&Self> {
        error.chain().find_map(|cause| cause.downcast_ref())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{} ({code})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Failure {}

/// The error as lines for a person, or as one JSON object.
pub(crate) fn text(error: &anyhow::Error, as_json: bool) -> String {
    text_with(error, as_json, Failure::sort_of(error) as u8)
}

/// The same with another exit code than its sort's.
pub(crate) fn text_with(error: &anyhow::Error, as_json: bool, exit_code: u8) -> String {
    let failure = Failure::of(error);
    let code = failure.and_then(|failure| failure.code.as_deref());
    let suggestion = failure.and_then(|failure| failure.suggestion.as_deref());
    let hint = failure.and_then(|failure| failure.hint.as_deref());
    if as_json {
        let error = json!({
            "message": format!("{error:#}"), "code": code, "suggestion": suggestion, "hint": hint,
            "exit_code": exit_code,
        });
        return json!({ "error": error }).to_string();
    }
    let mut lines = vec![format!("error: {error:#}")];
    lines.extend(suggestion.map(|it| format!("did you mean {it}?")));
    lines.extend(hint.map(|it| format!("hint: {it}")));
    lines.join("\n")
}

/// The exit code of an error.
pub(crate) fn exit_code(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(Failure::sort_of(error) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_refusal_keeps_its_sort_and_its_hint_under_a_context() {
        let body = json!({"detail": "no such thing", "code": "not_found", "hint": "look again",
            "details": {"suggestion": "that thing"}});
        let refused: anyhow::Result<()> =
            Err(Failure::refused(StatusCode::NOT_FOUND, &body).into());
        let error = refused.context("while looking").expect_err("an error");
        assert_eq!(Failure::sort_of(&error), Sort::Missing);
        assert_eq!(
            text(&error, false),
            "error: while looking: no such thing (not_found)\ndid you mean that thing?\nhint: look again"
        );
        let parsed: Value = serde_json::from_str(&text(&error, true)).expect("JSON");
        assert_eq!(parsed["error"]["code"], "not_found");
        assert_eq!(parsed["error"]["exit_code"], 6);
    }

    #[test]
    fn an_answer_without_words_still_names_its_status() {
        let failure = Failure::refused(StatusCode::BAD_GATEWAY, &Value::Null);
        assert_eq!(failure.to_string(), "the server gave no reason (502)");
        assert_eq!(failure.sort, Sort::Unreachable);
    }
}
