//! What clients send: JSON bodies and query strings, read strictly and refused without an echo.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use domain::Secret;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};

use crate::error::{Code, Problem};

/// The largest body that is read.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// A JSON body of the documented form.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        require_json(&parts)?;
        read(body).await?.expose(parse).map(Self)
    }
}

/// A JSON body of the documented form; none at all is an object without fields, so that the refusal names the first one
/// that is missing. For `DELETE`, which clients send without a body.
pub struct JsonOrNothing<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonOrNothing<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read(body).await?;
        if bytes.expose(<[u8]>::is_empty) {
            return parse(b"{}").map(Self);
        }
        require_json(&parts)?;
        bytes.expose(parse).map(Self)
    }
}

async fn read(body: Body) -> Result<Secret, Problem> {
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => Ok(Secret::new(body.to_bytes().to_vec())),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::new(Code::RequestTooLarge)),
        Err(_) => {
            Err(Problem::new(Code::InvalidRequest)
                .because("the body ended early or could not be read"))
        }
    }
}

/// The parameters that some operation takes in its query.
const PARAMETERS: [&str; 21] = [
    "limit",
    "after",
    "from",
    "to",
    "label",
    "days",
    "group_by",
    "provider",
    "model",
    "provider_key_id",
    "api_key_id",
    "user_id",
    "key_source",
    "status",
    "q",
    "all",
    "workspace_id",
    "account_id",
    "action",
    "actor",
    "subject",
];

/// A query string of the documented form.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let refusal = match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(query) => return Ok(Self(query.0)),
            Err(refusal) => refusal.body_text(),
        };
        // The parser's text shows names and values, so no more of it is passed on than a name of ours.
        let name = PARAMETERS
            .into_iter()
            .find(|name| refusal.contains(&format!(": {name}: ")));
        Err(match name {
            Some(name) => Problem::field(name, format!("parameter {name} has the wrong form")),
            None => Problem::new(Code::InvalidRequest)
                .because("the query has a parameter that is not documented or is given twice"),
        })
    }
}

/// The query string of an operation that has no parameters: nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoParameters {}

fn require_json(parts: &Parts) -> Result<(), Problem> {
    let declared = parts
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"));
    if declared && !parts.headers.contains_key(CONTENT_ENCODING) {
        Ok(())
    } else {
        Err(Problem::new(Code::UnsupportedMediaType))
    }
}

/// Reads an optional field in which `null` says something: outer `None` is a field that was left out.
///
/// Goes with `#[serde(default, deserialize_with = "given")]`.
///
/// # Errors
/// As the reader of `T`.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Reads a JSON object of the documented form.
///
/// # Errors
/// `invalid_request`, naming the field and showing nothing of its value.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // The deserializer would take an array for a struct, field by field.
    if bytes
        .trim_ascii_start()
        .first()
        .is_some_and(|byte| *byte != b'{')
    {
        return Err(Problem::new(Code::InvalidRequest).because("the body is not a JSON object"));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let problem = Problem::new(Code::InvalidRequest);
        // Of a value of another type than a name's the parser says that the JSON is broken, which it is not.
        let broken = || serde_json::from_slice::<IgnoredAny>(bytes).is_err();
        if !error.is_data() && broken() {
            return problem.because(format!(
                "the body is not valid JSON at line {}, column {}",
                error.line(),
                error.column()
            ));
        }
        let text = error.to_string();
        let named = |prefix: &str| {
            let name = text.strip_prefix(prefix)?.split('`').next()?;
            is_field_name(name).then(|| name.to_owned())
        };
        if let Some(field) = named("missing field `") {
            return problem
                .because(format!("field {field} is missing"))
                .with("field", field);
        }
        if let Some(field) = named("duplicate field `") {
            return problem
                .because(format!("field {field} is given twice"))
                .with("field", field);
        }
        if text.starts_with("unknown field `") {
            // Inside of a field the client's name of the member is not repeated, but what it may have is.
            if let (Some(field), 2..) = place(bytes, error.line(), error.column())
                && let Some(known) = known_fields(&text)
            {
                return problem
                    .because(format!(
                        "field {field} must have no other members than {}",
                        known.join(", ")
                    ))
                    .advise("")
                    .with("field", field)
                    .with("known", known);
            }
            return match named("unknown field `") {
                Some(field) => problem
                    .because(format!("field {field} is not part of this request"))
                    .with("field", field),
                None => problem.because("a field is not part of this request"),
            };
        }
        let (Some(field), _) = place(bytes, error.line(), error.column()) else {
            return problem.because("the body does not have the documented form");
        };
        if let Some(allowed) = allowed(&text) {
            let detail = format!("field {field} takes only {}", allowed.join(", "));
            return problem
                .because(detail)
                .advise("")
                .with("field", field)
                .with("allowed", allowed);
        }
        match rule(&text) {
            Some(rule) => problem
                .because(format!("field {field}: {rule}"))
                .advise("")
                .with("field", field),
            None => problem
                .because(format!("field {field} has the wrong type or form"))
                .with("field", field),
        }
    })
}

/// The values of a closed set, from the refusal of another one. That one stands in front and may be anything,
/// so only what comes after the last mark of the parser is looked at.
pub(crate) fn allowed(text: &str) -> Option<Vec<String>> {
    let (_, names) = text
        .strip_prefix("unknown variant `")?
        .rsplit_once(", expected ")?;
    let names = names.split('`').skip(1).step_by(2);
    Some(names.map(str::to_owned).collect())
}

/// The fields that a member of a request may have, from the refusal of another one. As with [`allowed`], only what comes
/// after the last mark of the parser is looked at.
pub(crate) fn known_fields(text: &str) -> Option<Vec<String>> {
    let (_, names) = text
        .strip_prefix("unknown field `")?
        .rsplit_once(", expected ")?;
    let names = names.split('`').skip(1).step_by(2);
    Some(names.map(str::to_owned).collect())
}

/// The rule that a name breaks; its text is ours and shows no value.
pub(crate) fn rule(text: &str) -> Option<&str> {
    let ours = [
        "a label must be ",
        "a provider id must be ",
        "a plan id must be ",
        "a pattern has ",
        "a model's name has ",
        "a number has digits",
        "a service",
        "a script has ",
        "an order is ",
        "a command has ",
        "a variable's name ",
    ];
    let ours = ours.iter().any(|start| text.starts_with(start));
    let rule = text.rsplit_once(" at line ").map_or(text, |(rule, _)| rule);
    ours.then_some(rule)
}

/// Whether a name may be shown: field names are lower-case words, and nothing else that is may be a secret.
pub(crate) fn is_field_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// The outermost field whose value the parser was reading at this place, and how many objects and lists are open there.
fn place(bytes: &[u8], line: usize, column: usize) -> (Option<String>, usize) {
    let line_start = bytes
        .split_inclusive(|byte| *byte == b'\n')
        .take(line.saturating_sub(1))
        .map(<[u8]>::len)
        .sum::<usize>();
    let end = (line_start + column).min(bytes.len());
    let mut field = None;
    let (mut depth, mut string_start, mut last_string, mut escaped) = (0_usize, None, None, false);
    for (at, byte) in bytes[..end].iter().enumerate() {
        match (string_start, byte) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(start), b'"') => {
                last_string = Some(&bytes[start..at]);
                string_start = None;
            }
            (Some(_), _) => {}
            (None, b'"') => string_start = Some(at + 1),
            (None, b'{' | b'[') => depth += 1,
            (None, b'}' | b']') => depth = depth.saturating_sub(1),
            (None, b':') if depth == 1 => field = last_string,
            (None, _) => {}
        }
    }
    let name = field.and_then(|name| std::str::from_utf8(name).ok());
    let name = name.filter(|name| is_field_name(name)).map(str::to_owned);
    (name, depth)
}

#[cfg(test)]
mod tests;
