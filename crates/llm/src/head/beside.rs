//! Gemini's requests: the model and the wish for a stream stand in the path, the body says the rest.
//!
//! Its JSON is that of protocol buffers, where every field has a name in camel case and one in snake case.

use bytes::Bytes;

use super::list::{self, Listed};
use super::{
    Head, HeadError, Naming, Spelling, Value, checked_model, read_count, span, unreadable,
};
use crate::json::{Broken, Kind, Reader};

/// What stands before a model's name in a body.
pub(super) const PREFIX: &str = "models/";

/// The most requests of a batch, as lists of texts to embed have it. Each may name the model, which is written anew.
pub const MAX_REQUESTS: usize = 2048;

/// Reads the body of a request whose path names `model` and says whether a stream is wanted.
///
/// The whole body is checked as [`super::read`] does. Wherever the body names a model as well (at its top, in each request of a
/// batch, in the request whose tokens are to be counted), it must be the path's, by itself or behind `models/`.
///
/// # Errors
/// [`HeadError`] for the first rule that the body breaks; all of them are the client's to mend.
pub fn read_beside(body: &[u8], model: &str, stream: bool) -> Result<Head, HeadError> {
    head_of(found(body)?, body, model, stream)
}

/// Reads the same where the body may name, in `models`, what to turn to when the path's model fails. The list is taken out
/// as [`super::read_listed`] does, and `null` in its place, too: Gemini's API knows no such field.
///
/// # Errors
/// As [`read_beside`], and [`HeadError::Models`] for a list that is none of 1 to [`super::MAX_MODELS`] names, each once.
pub fn read_beside_listed(body: Bytes, model: &str, stream: bool) -> Result<Listed, HeadError> {
    let found = found(&body)?;
    let Some(raw) = found.list else {
        let head = head_of(found, &body, model, stream)?;
        return Ok(Listed {
            body,
            head,
            others: Vec::new(),
        });
    };
    let mut others = list::names(raw)?;
    for name in &mut others {
        if let Some(bare) = name.strip_prefix(PREFIX) {
            *name = bare.to_owned();
        }
    }
    if !others.is_empty() {
        list::check_models(&others)?;
    }
    others.retain(|name| name != model);
    let cut = list::place(raw, &body, found.fields > 1);
    let body = list::replaced(&body, cut, "");
    let head = read_beside(&body, model, stream)?;
    Ok(Listed { body, head, others })
}

/// The pass over a body.
fn found(body: &[u8]) -> Result<Found<'_>, HeadError> {
    let mut found = Found::default();
    let mut reader = Reader::new(body);
    found
        .read_object(Place::Top, &mut reader)
        .and_then(|()| reader.end())
        .map_err(|Broken| unreadable(body))?;
    match found.refusal {
        Some(refusal) => Err(refusal),
        None => Ok(found),
    }
}

fn head_of(found: Found<'_>, body: &[u8], model: &str, stream: bool) -> Result<Head, HeadError> {
    checked_model(model).map_err(|_| HeadError::PathModel)?;
    let mut model_spans = Vec::with_capacity(found.models.len());
    for raw in found.models {
        let named: String = serde_json::from_slice(raw).map_err(|_| HeadError::OtherModel)?;
        if named.strip_prefix(PREFIX).unwrap_or(&named) != model {
            return Err(HeadError::OtherModel);
        }
        model_spans.push(span(raw, body));
    }
    Ok(Head {
        model: model.to_owned(),
        stream,
        output_limit: found.output_limit,
        choices: found.choices,
        named: found.named,
        may_be_kept: true,
        model_spans,
        spelling: Spelling::JsonPath,
    })
}

/// What the pass over the body found. A refusal does not stop it: broken JSON is told first.
#[derive(Default)]
struct Found<'a> {
    models: Vec<&'a [u8]>,
    /// `models`, as it is written.
    list: Option<&'a [u8]>,
    /// How many fields the body has.
    fields: usize,
    output_limit: Option<u64>,
    choices: Option<u64>,
    /// What it names of what the provider keeps.
    named: Vec<String>,
    /// How many requests there are within the body.
    requests: usize,
    refusal: Option<HeadError>,
}

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The body.
    Top,
    /// A request within the body, or a list of them.
    Request,
    /// How the answer is made.
    Config,
    /// A model's name.
    Model,
    /// A list of models.
    List,
    /// The most output tokens.
    OutputLimit,
    /// How many answers are wanted.
    Choices,
    /// What may name something that the provider keeps.
    Other(Value),
}

impl Place {
    /// The field `name` of what is here.
    fn field(self, name: &str) -> Self {
        match (self, name) {
            (Self::Top | Self::Request, "model") => Self::Model,
            (Self::Top, "models") => Self::List,
            (Self::Top, "requests" | "generateContentRequest" | "generate_content_request") => {
                Self::Request
            }
            (Self::Top, "generationConfig" | "generation_config") => Self::Config,
            (Self::Config, "maxOutputTokens" | "max_output_tokens") => Self::OutputLimit,
            (Self::Config, "candidateCount" | "candidate_count") => Self::Choices,
            _ => Self::Other(Value::of(name, self == Self::Top)),
        }
    }
}

impl<'a> Found<'a> {
    /// Reads the value at a place.
    fn read(&mut self, at: Place, reader: &mut Reader<'a>) -> Result<(), Broken> {
        match at {
            Place::Top | Place::Request | Place::Config => match reader.kind()? {
                Kind::Object => self.read_object(at, reader),
                Kind::List => reader.list(|reader| self.read(at, reader)),
                Kind::Text | Kind::Number | Kind::Word => reader.skip().map(drop),
            },
            Place::Model => {
                let model = reader.skip()?;
                if self.requests <= MAX_REQUESTS {
                    self.models.push(model);
                }
                Ok(())
            }
            Place::List => {
                if self.list.replace(reader.skip()?).is_some() {
                    self.refusal.get_or_insert(HeadError::Repeated("models"));
                }
                Ok(())
            }
            Place::OutputLimit => {
                self.output_limit = self.output_limit.max(read_count(reader)?);
                Ok(())
            }
            Place::Choices => {
                self.choices = self.choices.max(read_count(reader)?);
                Ok(())
            }
            Place::Other(value) => Naming::new(&mut self.named, value).read(reader).map(drop),
        }
    }

    fn read_object(&mut self, at: Place, reader: &mut Reader<'a>) -> Result<(), Broken> {
        if at == Place::Request {
            self.requests += 1;
            if self.requests > MAX_REQUESTS {
                self.refusal.get_or_insert(HeadError::Requests);
            }
        }
        let mut has_model = false;
        reader.object(|reader, name| {
            self.fields += usize::from(at == Place::Top);
            let at = at.field(name);
            self.read(at, reader)?;
            if at == Place::Model && std::mem::replace(&mut has_model, true) {
                self.refusal.get_or_insert(HeadError::Repeated("model"));
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
