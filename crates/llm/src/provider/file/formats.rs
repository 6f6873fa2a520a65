//! The entries `[[formats]]` of a provider file.

use std::collections::BTreeMap;

use domain::glob::Glob;
use serde::Deserialize;
use toml::Spanned;

use super::{Broken, broken, header_name, is_path, scheme};
use crate::format::{FormatId, Operation};
use crate::provider::{Auth, FormatRule, KeyPlace, MODEL_PLACE};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FormatTable {
    #[serde(default = "any_model")]
    pattern: Glob,
    format: FormatId,
    path: Spanned<String>,
    #[serde(default)]
    operations: BTreeMap<Operation, Spanned<String>>,
    strip: Option<Spanned<String>>,
    auth: Option<PlaceTable>,
}

/// How a key is presented in one format.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceTable {
    header: Spanned<String>,
    scheme: Option<Spanned<String>>,
}

/// `base_url` and `auth` are the file's.
pub(super) fn format_rule(
    table: FormatTable,
    base_url: &str,
    auth: &Auth,
) -> Result<FormatRule, Broken> {
    let format = table.format;
    let operations = table.operations.into_iter().map(|(operation, path)| {
        if operation.format() != format {
            return broken(&path, "the format has no such operation");
        }
        Ok((operation, call_path(path, format)?))
    });
    let key_place = table.auth.map(|place| key_place(place, auth)).transpose()?;
    let rule = FormatRule {
        operations: operations.collect::<Result<_, _>>()?,
        pattern: table.pattern,
        format,
        path: call_path(table.path, format)?,
        strip: table.strip.as_ref().map(|it| it.as_ref().clone()),
        key_place,
    };
    match table.strip {
        Some(strip) if !is_path(strip.as_ref()) || rule.base(base_url).is_none() => {
            broken(&strip, "not the end of the base URL's path")
        }
        _ => Ok(rule),
    }
}

fn key_place(place: PlaceTable, auth: &Auth) -> Result<KeyPlace, Broken> {
    let header = header_name(&place.header)?;
    if auth.extra_headers.iter().any(|(name, _)| *name == header) {
        return broken(&place.header, "this header has a value of its own");
    }
    Ok(KeyPlace {
        header,
        scheme: place.scheme.map(scheme).transpose()?,
    })
}

fn call_path(path: Spanned<String>, format: FormatId) -> Result<String, Broken> {
    let text = path.as_ref().as_str();
    let fits = match format.format().action() {
        None => is_path(text),
        // In the place of the model and the action any plain segment could stand.
        Some(_) => text
            .strip_suffix(MODEL_PLACE)
            .is_some_and(|before| before.ends_with('/') && is_path(&format!("{before}x"))),
    };
    if fits {
        Ok(path.into_inner())
    } else {
        broken(
            &path,
            "a path begins with a slash and has plain segments; for Gemini's formats the last one is `{model}:{action}`",
        )
    }
}

fn any_model() -> Glob {
    Glob::parse("*").expect("a star is a pattern")
}
