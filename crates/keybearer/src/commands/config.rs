//! `keybearer config`: the configuration as `serve` would read it.

use std::process::ExitCode;

use serde_json::{Value, json};
use url::Url;

use crate::config::Loaded;
use crate::output::{Out, cell};
use crate::{open, serve, telemetry};

/// What stands in a secret's place.
const HIDDEN: &str = "(hidden)";

/// Makes every check of `serve` that opens nothing and makes nothing.
pub(crate) fn validate(loaded: Loaded, out: Out) -> anyhow::Result<ExitCode> {
    telemetry::filter(&loaded.config)?;
    serve::check_listen(&loaded.config)?;
    serve::registry(loaded.config.providers_dir.as_deref())?;
    open::check(loaded)?;
    out.done(&json!({ "valid": true }), "The configuration is valid.");
    Ok(ExitCode::SUCCESS)
}

/// Shows every option with its value.
pub(crate) fn show(loaded: Loaded, out: Out) -> anyhow::Result<ExitCode> {
    let mut values = serde_json::to_value(&loaded.config)?;
    if let Some(url) = values["database_url"].as_str() {
        values["database_url"] = json!(without_password(url));
    }
    // Its arguments may be a password.
    if values["root_key_command"]
        .as_array()
        .is_some_and(|it| !it.is_empty())
    {
        values["root_key_command"] = json!(HIDDEN);
    }
    if loaded.root_key.is_some() {
        values["root_key"] = json!(HIDDEN);
    }
    if out.is_json() {
        out.json(&values);
        return Ok(ExitCode::SUCCESS);
    }
    let rows = values.as_object().into_iter().flatten();
    let rows: Vec<Vec<String>> = rows
        .map(|(name, value)| vec![name.clone(), cell(value)])
        .collect();
    out.table(&["OPTION", "VALUE"], &rows);
    Ok(ExitCode::SUCCESS)
}

/// A database's address with its user and without what opens it, which can stand in two places.
fn without_password(text: &str) -> Value {
    let Ok(mut url) = Url::parse(text) else {
        return json!(HIDDEN);
    };
    if url.password().is_some() && url.set_password(Some("hidden")).is_err() {
        return json!(HIDDEN);
    }
    if url.query().is_some() {
        url.set_query(Some("hidden"));
    }
    json!(url.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_hidden_wherever_it_stands() {
        for (given, shown) in [
            ("postgres://me:secret@db/x", "postgres://me:hidden@db/x"),
            (
                "postgres://me@db/x?password=secret",
                "postgres://me@db/x?hidden",
            ),
            ("sqlite:///var/x.db", "sqlite:///var/x.db"),
            ("secret", HIDDEN),
        ] {
            assert_eq!(without_password(given), shown);
        }
    }
}
