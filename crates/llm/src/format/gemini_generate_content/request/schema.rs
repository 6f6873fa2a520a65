//! Gemini's own way to write a schema, a part of OpenAPI's, as the JSON schema that other formats take.
//!
//! Source: <https://ai.google.dev/api/caching#Schema>.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

use super::read::texts;
use crate::neutral::{Fields, Json, NotTranslatable, Object, array, list, text};

type Read<T> = Result<T, NotTranslatable>;

/// How deep a schema may be. JSON is read no deeper than twice that.
const MAX_DEPTH: usize = 60;

/// Counts that this way of writing JSON has as texts.
const COUNTS: [&str; 6] = [
    "maxItems",
    "maxLength",
    "maxProperties",
    "minItems",
    "minLength",
    "minProperties",
];

/// The schema as JSON schema, its fields in their order.
pub(super) fn to_json_schema(raw: &RawValue) -> Read<Box<RawValue>> {
    let text = Json::from(schema(raw, MAX_DEPTH)?);
    RawValue::from_string(text.as_str().to_owned()).map_err(|_| wrong())
}

fn wrong() -> NotTranslatable {
    NotTranslatable::new("schema", "it cannot be read, or is too deep")
}

fn schema(raw: &RawValue, left: usize) -> Read<Object> {
    let left = left.checked_sub(1).ok_or_else(wrong)?;
    let mut fields = Fields::of(raw, "schema")?.in_camel_case();
    let nullable = fields.flag("nullable")?.unwrap_or(false);
    let mut written = Object::new();
    let order = fields
        .take("propertyOrdering")
        .map(|raw| texts(raw).ok_or_else(wrong));
    let order = order.transpose()?.unwrap_or_default();
    let order: HashMap<&str, usize> = order.iter().map(String::as_str).zip(0..).collect();
    let refers = fields.has("ref") || fields.has("$ref");
    if nullable && refers && fields.has("anyOf") {
        return Err(wrong());
    }
    for (name, value) in fields.rest() {
        if value.get() == "null" && name != "default" {
            continue;
        }
        written = match &*name {
            "type" => {
                let kind = text(value).ok_or_else(wrong)?.to_ascii_lowercase();
                match kind.as_str() {
                    "type_unspecified" => written,
                    kind if nullable && kind != "null" => {
                        written.with("type", array([kind, "null"]))
                    }
                    kind => written.with("type", kind),
                }
            }
            // The model writes in this order.
            "properties" => {
                let mut named = Fields::of(value, "schema")?.rest();
                named.sort_by_key(|(name, _)| order.get(&**name).map_or(usize::MAX, |it| *it));
                written.with("properties", schemas(named, left)?)
            }
            "defs" | "$defs" => {
                let named = Fields::of(value, "schema")?.rest();
                written.with("$defs", schemas(named, left)?)
            }
            "ref" | "$ref" => {
                let place = text(value).ok_or_else(wrong)?;
                let place = match place.strip_prefix("#/defs/") {
                    Some(name) => format!("#/$defs/{name}"),
                    None => place,
                };
                let there = Object::new().with("$ref", &place);
                match nullable {
                    true => written.with("anyOf", array([there, Object::typed("null")])),
                    false => written.with("$ref", &place),
                }
            }
            "anyOf" | "prefixItems" => {
                let mut of: Vec<Json> = Vec::new();
                for value in list(value).ok_or_else(wrong)? {
                    of.push(schema(value, left)?.into());
                }
                if nullable && name == "anyOf" {
                    of.push(Object::typed("null").into());
                }
                written.with(&name, array(of))
            }
            "items" => written.with("items", schema(value, left)?),
            "additionalProperties" if value.get().starts_with('{') => {
                written.with(&name, schema(value, left)?)
            }
            // What may be null must be allowed to be.
            "enum" if nullable => {
                let values = list(value).ok_or_else(wrong)?.into_iter().map(Json::from);
                written.with("enum", array(values.chain([Json::null()])))
            }
            "example" => written.with("examples", array([value])),
            name if COUNTS.contains(&name) => match text(value) {
                Some(count) => {
                    let count: u64 = count.parse().map_err(|_| wrong())?;
                    written.with(name, count)
                }
                None => written.with(name, value),
            },
            name => written.with(name, value),
        };
    }
    Ok(written)
}

/// Schemas by their names.
fn schemas(named: Vec<(Cow<'_, str>, &RawValue)>, left: usize) -> Read<Object> {
    let mut written = Object::new();
    for (name, value) in named {
        written = written.with(&name, schema(value, left)?);
    }
    Ok(written)
}
