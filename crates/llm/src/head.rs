//! The few facts of a request body that decide its way and its price: `model`, `stream`, the output's limit. Where the
//! model stands in the path, [`read_beside`] takes it from there.
//!
//! One strict pass reads the whole body, so that what was checked is what is forwarded: another parser
//! that takes the last of two `model` fields, or ignores case, cannot see a different request.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::error::Category;

use crate::json::{self, Broken, Kind, Reader};

mod beside;
mod list;
mod named;

pub use beside::{MAX_REQUESTS, read_beside, read_beside_listed};
pub use list::{Listed, MAX_MODELS, check_models, read_listed};
pub use named::{MAX_NAMED, Named, named};
use named::{Naming, Value};

/// The longest model name, in bytes of its decoded text.
pub const MAX_MODEL_BYTES: usize = 256;

/// What a request body says of its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The model's name as the client wrote it, decoded.
    pub model: String,
    /// Whether the client wants a stream; absent and `null` mean no.
    pub stream: bool,
    /// The most output tokens that the client wants: the greatest of the top-level `max_tokens`,
    /// `max_completion_tokens` and `max_output_tokens` that is a number, in any spelling that some provider reads.
    /// `None`: no such limit. Whatever else stands there is the provider's to judge.
    pub output_limit: Option<u64>,
    /// How many answers the client wants: the greatest top-level `n` that is such a number. `None`: one.
    pub choices: Option<u64>,
    /// Ids of what a provider keeps that the body names: the response or the conversation that it goes on from, files and
    /// the like, as they come, each once, at most [`MAX_NAMED`].
    pub named: Vec<String>,
    /// Whether what is made may be kept by the provider: the body does not say `"store": false`.
    pub may_be_kept: bool,
    /// Where the body names the model, as it is spelled there, in their order and apart. There is one place, but where
    /// the path names the model.
    pub model_spans: Vec<Range<usize>>,
    /// How it is spelled there.
    pub spelling: Spelling,
}

/// How a model's name stands in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// As a JSON string, quotes included.
    Json,
    /// The same behind `models/`, as in Gemini's bodies.
    JsonPath,
    /// As it is.
    Plain,
}

/// Why a body is refused. None of the texts shows a part of the body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// Not JSON, not UTF-8, or text after the end.
    #[error("the body is not valid JSON (line {line}, column {column})")]
    Json {
        /// Line of the first offence, from 1.
        line: usize,
        /// Column of the first offence in bytes, from 1; 0 if the line is empty.
        column: usize,
    },
    /// More lists and objects within each other than are read.
    #[error(
        "the body has too many lists and objects within each other (line {line}, column {column})"
    )]
    TooDeep {
        /// Line of the first that is too many, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
    },
    /// A number that no double is as great as.
    #[error("the body has a number that is too great for a double (line {line}, column {column})")]
    Number {
        /// Line of the first one, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
    },
    /// JSON, but not an object.
    #[error("the body must be a JSON object")]
    NotAnObject,
    /// The field stands in the object more than once.
    #[error("the field `{0}` must stand in the body only once")]
    Repeated(&'static str),
    /// A field differs from this one only in case.
    #[error("a field differs from `{0}` only in case; write it exactly")]
    Case(&'static str),
    /// No `model`.
    #[error("the field `model` is missing")]
    ModelMissing,
    /// `model` is not a string of 1 to 256 bytes without control characters.
    #[error(
        "the field `model` must be a string of 1 to {MAX_MODEL_BYTES} bytes without control characters"
    )]
    Model,
    /// `models` is no list of 1 to 8 names of models, each once.
    #[error(
        "the field `models` must be a list of 1 to {MAX_MODELS} names of models, each once and each as in `model`"
    )]
    Models,
    /// `models` where one model alone can be asked for.
    #[error("the field `models` is not taken here, where a request names one model")]
    ModelsNotTaken,
    /// `stream` is not a boolean.
    #[error("the field `stream` must be true or false")]
    Stream,
    /// The form breaks this rule.
    #[error("the body is not a valid form: {0}")]
    Form(&'static str),
    /// The path names no model of 1 to 256 bytes without control characters.
    #[error(
        "the path must name a model of 1 to {MAX_MODEL_BYTES} bytes without control characters"
    )]
    PathModel,
    /// The query names no model of 1 to 256 bytes without control characters, or several.
    #[error(
        "the query must name one `model` of 1 to {MAX_MODEL_BYTES} bytes without control characters"
    )]
    QueryModel,
    /// `requests` has more than 2,048 requests.
    #[error("the field `requests` must have at most {MAX_REQUESTS} requests")]
    Requests,
    /// The body names another model than the path.
    #[error("the field `model` must name the model that the path names, or be left out")]
    OtherModel,
}

impl Head {
    /// The head of a body that was not read: it names nothing.
    pub fn of_unread_body() -> Self {
        Self {
            model: String::new(),
            stream: false,
            output_limit: None,
            choices: None,
            named: Vec::new(),
            may_be_kept: true,
            model_spans: Vec::new(),
            spelling: Spelling::Plain,
        }
    }

    /// The head of a request whose query names the model, decoded.
    ///
    /// # Errors
    /// [`HeadError::QueryModel`] for what is no name.
    pub fn of_query(model: &str) -> Result<Self, HeadError> {
        let fits =
            (1..=MAX_MODEL_BYTES).contains(&model.len()) && !model.contains(char::is_control);
        if !fits {
            return Err(HeadError::QueryModel);
        }
        Ok(Self {
            model: model.to_owned(),
            stream: true,
            ..Self::of_unread_body()
        })
    }

    /// The most output tokens of all answers together, where an answer without a limit is taken to have
    /// `unlimited`.
    pub fn expected_output(&self, unlimited: u64) -> u64 {
        let each = self.output_limit.unwrap_or(unlimited);
        each.saturating_mul(self.choices.unwrap_or(1).max(1))
    }
}

impl HeadError {
    /// The field that is at fault, where it is one.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Json { .. }
            | Self::TooDeep { .. }
            | Self::Number { .. }
            | Self::NotAnObject
            | Self::Form(_) => None,
            Self::Repeated(field) | Self::Case(field) => Some(field),
            Self::ModelMissing
            | Self::Model
            | Self::PathModel
            | Self::QueryModel
            | Self::OtherModel => Some("model"),
            Self::Models | Self::ModelsNotTaken => Some("models"),
            Self::Stream => Some("stream"),
            Self::Requests => Some("requests"),
        }
    }
}

/// Reads a request body that names a model.
///
/// The whole body is checked; strings must decode and numbers must fit a double. Nothing is changed. A list of models
/// beside it is a field like any other; [`read_listed`] reads that.
///
/// # Errors
/// [`HeadError`] for the first rule that the body breaks; all of them are the client's to mend.
pub fn read(body: &[u8]) -> Result<Head, HeadError> {
    head_of(&found(body)?, body)
}

/// The pass over a body.
fn found(body: &[u8]) -> Result<Found<'_>, HeadError> {
    let mut found = Found::default();
    let mut reader = Reader::new(body);
    reader
        .object(|reader, name| found.read(name, reader))
        .and_then(|()| reader.end())
        .map_err(|Broken| unreadable(body))?;
    match found.refusal {
        Some(refusal) => Err(refusal),
        None => Ok(found),
    }
}

fn head_of(found: &Found<'_>, body: &[u8]) -> Result<Head, HeadError> {
    let raw = found.model.ok_or(HeadError::ModelMissing)?;
    let model = match unescaped(raw) {
        Some(model) => model.to_owned(),
        None => serde_json::from_slice(raw).map_err(|_| HeadError::Model)?,
    };
    checked_model(&model)?;
    let stream = match found.stream {
        None | Some(b"false" | b"null") => false,
        Some(b"true") => true,
        Some(_) => return Err(HeadError::Stream),
    };
    Ok(Head {
        model,
        stream,
        output_limit: found.output_limit,
        choices: found.choices,
        named: found.named.clone(),
        may_be_kept: !found.is_not_kept,
        model_spans: vec![span(raw, body)],
        spelling: Spelling::Json,
    })
}

/// What a text of JSON says that has no escapes, and so stands there as it is; `None`: it has some, or is no text. The
/// pass over the body has read it strictly.
fn unescaped(raw: &[u8]) -> Option<&str> {
    let text = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let text = str::from_utf8(text).ok()?;
    (!text.contains('\\')).then_some(text)
}

/// The model's name, if it can be one.
pub(crate) fn checked_model(model: &str) -> Result<&str, HeadError> {
    if model.is_empty() || model.len() > MAX_MODEL_BYTES || model.contains(char::is_control) {
        return Err(HeadError::Model);
    }
    Ok(model)
}

/// The field that a parser that ignores case could take `name` for, although it is another one.
pub(crate) fn lookalike(name: &str) -> Option<&'static str> {
    // Upper case folds more than ASCII: U+017F becomes S, as in parsers that ignore case.
    let folds_to = |upper: &str| name.chars().flat_map(char::to_uppercase).eq(upper.chars());
    match name {
        "model" | "models" | "stream" => None,
        _ if folds_to("MODEL") => Some("model"),
        _ if folds_to("MODELS") => Some("models"),
        _ if folds_to("STREAM") => Some("stream"),
        _ => None,
    }
}

/// The body with another model name in the place of the first; every other byte stays as it was.
///
/// `head` is what [`read`], [`read_beside`] or [`crate::form::read`] returned for this very `body`.
pub fn with_model(body: &Bytes, head: &Head, model: &str) -> Bytes {
    let Some(text) = spelled(head, model) else {
        return body.clone();
    };
    let mut changed = BytesMut::with_capacity(body.len() + head.model_spans.len() * text.len());
    let mut done = 0;
    for span in &head.model_spans {
        changed.put_slice(&body[done..span.start]);
        changed.put_slice(text.as_bytes());
        done = span.end;
    }
    changed.put_slice(&body[done..]);
    changed.freeze()
}

/// As [`with_model`], in pieces: what stays as it was is not copied.
pub fn pieces_with_model(body: &Bytes, head: &Head, model: &str) -> Vec<Bytes> {
    let Some(text) = spelled(head, model).map(Bytes::from) else {
        return vec![body.clone()];
    };
    let mut pieces = Vec::with_capacity(2 * head.model_spans.len() + 1);
    let mut done = 0;
    for span in &head.model_spans {
        pieces.push(body.slice(done..span.start));
        pieces.push(text.clone());
        done = span.end;
    }
    pieces.push(body.slice(done..));
    pieces
}

/// How another model is written in the place of the body's; `None`: the name stays, or there is none.
fn spelled(head: &Head, model: &str) -> Option<String> {
    if head.model == model || head.model_spans.is_empty() {
        return None;
    }
    let quoted = |text: &str| serde_json::to_string(text).expect("every text is one of JSON");
    Some(match head.spelling {
        Spelling::Json => quoted(model),
        Spelling::JsonPath => quoted(&format!("{}{model}", beside::PREFIX)),
        Spelling::Plain => model.to_owned(),
    })
}

/// Why a body was not read.
fn unreadable(body: &[u8]) -> HeadError {
    let Some(error) = json::fault(body) else {
        debug_assert!(false, "refused, and sound");
        return HeadError::Json { line: 1, column: 0 };
    };
    let (line, column) = (error.line(), error.column());
    // The reader tells these two apart from broken JSON in words only.
    let words = error.to_string();
    match error.classify() {
        Category::Data => HeadError::NotAnObject,
        _ if words.starts_with("recursion limit exceeded") => HeadError::TooDeep { line, column },
        _ if words.starts_with("number out of range") => HeadError::Number { line, column },
        _ => HeadError::Json { line, column },
    }
}

/// Where `raw` stands in `body`, from which it was read.
fn span(raw: &[u8], body: &[u8]) -> Range<usize> {
    // The raw text is borrowed from `body`, so the difference of the addresses is the offset in it.
    let start = raw.as_ptr().addr() - body.as_ptr().addr();
    start..start + raw.len()
}

/// What the pass over the object's fields found. A refusal does not stop it: broken JSON is told first.
#[derive(Default)]
struct Found<'a> {
    /// As they are written.
    model: Option<&'a [u8]>,
    models: Option<&'a [u8]>,
    stream: Option<&'a [u8]>,
    output_limit: Option<u64>,
    choices: Option<u64>,
    named: Vec<String>,
    is_not_kept: bool,
    refusal: Option<HeadError>,
}

impl<'a> Found<'a> {
    /// Reads the value of the field `name`.
    fn read(&mut self, name: &str, reader: &mut Reader<'a>) -> Result<(), Broken> {
        let field = Field::of(name);
        let slot = match field {
            Field::Model => &mut self.model,
            Field::Models => &mut self.models,
            Field::Stream => &mut self.stream,
            Field::OutputLimit => {
                self.output_limit = self.output_limit.max(read_count(reader)?);
                return Ok(());
            }
            Field::Choices => {
                self.choices = self.choices.max(read_count(reader)?);
                return Ok(());
            }
            Field::Other(value) => {
                return Naming::new(&mut self.named, value).read(reader).map(drop);
            }
            Field::Store => {
                self.is_not_kept |= reader.skip()? == b"false";
                return Ok(());
            }
            Field::Lookalike(field) => {
                self.refusal.get_or_insert(HeadError::Case(field));
                return reader.skip().map(drop);
            }
        };
        if slot.replace(reader.skip()?).is_some() {
            let name = field.name();
            self.refusal.get_or_insert(HeadError::Repeated(name));
        }
        Ok(())
    }
}

enum Field {
    Model,
    Models,
    Stream,
    OutputLimit,
    Choices,
    Store,
    /// Another parser could take it for the named one.
    Lookalike(&'static str),
    /// What may name something that the provider keeps.
    Other(Value),
}

impl Field {
    fn of(name: &str) -> Self {
        match name {
            "model" => Self::Model,
            "models" => Self::Models,
            "stream" => Self::Stream,
            "max_tokens" | "max_completion_tokens" | "max_output_tokens" => Self::OutputLimit,
            "n" => Self::Choices,
            "store" => Self::Store,
            _ => match lookalike(name) {
                Some(field) => Self::Lookalike(field),
                None => Self::Other(Value::of(name, true)),
            },
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Models => "models",
            Self::Stream => "stream",
            Self::Lookalike(name) => name,
            Self::OutputLimit | Self::Choices | Self::Store | Self::Other(_) => "",
        }
    }
}

/// The number that a value stands for which is to be a count: `8`, and `8.0` and `"8"`, for some providers read those as
/// eight. Rounded up; what is no whole number the provider refuses, whatever it is counted as.
pub(crate) fn count(number: f64) -> Option<u64> {
    (number >= 0.0).then_some(number.ceil() as u64)
}

/// The same, of a text.
pub(crate) fn count_in(text: &str) -> Option<u64> {
    text.trim().parse().ok().and_then(count)
}

/// Reads any value. Gives the count that it is, if it is one.
fn read_count(reader: &mut Reader<'_>) -> Result<Option<u64>, Broken> {
    Ok(match reader.kind()? {
        Kind::Text => count_in(&reader.text()?),
        Kind::Number => {
            let number = reader.number()?;
            number.as_u64().or_else(|| number.as_f64().and_then(count))
        }
        Kind::Object | Kind::List | Kind::Word => {
            reader.skip()?;
            None
        }
    })
}

#[cfg(test)]
mod tests;
