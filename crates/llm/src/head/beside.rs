//! Gemini's requests: the model and the wish for a stream stand in the path, the body says the rest.
//!
//! Its JSON is that of protocol buffers, where every field has a name in camel case and one in snake case.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Checked, Head, HeadError, Naming, Spelling, Value, checked_model, span, unreadable};

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
    let mut parser = serde_json::Deserializer::from_slice(body);
    let mut found = Found::default();
    let top = Walk {
        found: &mut found,
        at: Place::Top,
    };
    // What is no object is told from what is no JSON by the parser's own error.
    parser
        .deserialize_map(top)
        .and_then(|_| parser.end())
        .map_err(|error| unreadable(&error))?;
    if let Some(refusal) = found.refusal {
        return Err(refusal);
    }
    checked_model(model).map_err(|_| HeadError::PathModel)?;
    let mut model_spans = Vec::with_capacity(found.models.len());
    for raw in found.models {
        let named: String = serde_json::from_str(raw.get()).map_err(|_| HeadError::OtherModel)?;
        if named.strip_prefix(PREFIX).unwrap_or(&named) != model {
            return Err(HeadError::OtherModel);
        }
        model_spans.push(span(raw.get(), body));
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
    models: Vec<&'a RawValue>,
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

/// Reads the value at a place. Gives the whole number that it is, if it is one.
struct Walk<'f, 'de> {
    found: &'f mut Found<'de>,
    at: Place,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, 'de> {
    type Value = Option<u64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<u64>, D::Error> {
        match self.at {
            Place::Top | Place::Request | Place::Config => deserializer.deserialize_any(self),
            Place::Other(value) => {
                let naming = Naming::new(&mut self.found.named, value);
                naming.deserialize(deserializer).map(|_| None)
            }
            Place::Model | Place::OutputLimit | Place::Choices => {
                Checked::JSON.deserialize(deserializer)
            }
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_, 'de> {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<u64>, A::Error> {
        let Self { found, at } = self;
        if at == Place::Request {
            found.requests += 1;
            if found.requests > MAX_REQUESTS {
                found.refusal.get_or_insert(HeadError::Requests);
            }
        }
        let mut named = false;
        while let Some(name) = map.next_key::<String>()? {
            let at = at.field(&name);
            match at {
                Place::Model => {
                    let model = map.next_value()?;
                    if found.requests <= MAX_REQUESTS {
                        found.models.push(model);
                    }
                    if std::mem::replace(&mut named, true) {
                        found.refusal.get_or_insert(HeadError::Repeated("model"));
                    }
                }
                Place::OutputLimit => {
                    let limit = map.next_value_seed(Checked::COUNT)?;
                    found.output_limit = found.output_limit.max(limit);
                }
                Place::Choices => {
                    let choices = map.next_value_seed(Checked::COUNT)?;
                    found.choices = found.choices.max(choices);
                }
                Place::Top | Place::Request | Place::Config | Place::Other(_) => {
                    map.next_value_seed(Walk { found, at })?;
                }
            }
        }
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Option<u64>, A::Error> {
        let Self { found, at } = self;
        while items.next_element_seed(Walk { found, at })?.is_some() {}
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Option<u64>, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<u64>, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
