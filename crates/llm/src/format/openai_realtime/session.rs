//! What a session consumed, one event after the other.
//!
//! Every response reports for itself, and so does every transcription of what was said, which is another model's work.
//! One that is cut reports nothing; it is estimated by what came of it. Sources:
//! <https://developers.openai.com/api/reference/resources/realtime/server-events>, and for what a second of sound counts
//! <https://developers.openai.com/api/docs/guides/realtime-costs> (2026-11-29). Names of the beta are read as well.

use std::borrow::Cow;

use domain::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::open::{Begun, Opened};
use super::{add, read_report};
use crate::head::checked_model;
use crate::tap::{BYTES_PER_TOKEN, Count, Metered};

/// What a session consumed up to its end, or up to where it was cut.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Consumed {
    /// By its own model; `None`: no response began.
    pub responses: Option<Counted>,
    /// By the models that wrote down what was said, each once.
    pub transcripts: Vec<Transcripts>,
}

/// What a model consumed in a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// The sum.
    pub usage: Usage,
    /// Whether some of it was counted here, because it was not reported.
    pub estimated: bool,
}

impl From<Counted> for Metered {
    fn from(counted: Counted) -> Self {
        Self {
            reported: Some(counted.usage),
            complete: !counted.estimated,
            begun: true,
            ..Self::default()
        }
    }
}

/// What a model consumed that wrote down what was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcripts {
    /// Its name, as the provider says it. `None`: not known.
    pub model: Option<String>,
    /// In model tokens.
    pub counted: Counted,
    /// Whether some of it was reported in seconds, which are no tokens.
    pub timed: bool,
}

/// So many models that write down are told apart in one session; what more there are count as one without a name.
const MAX_TRANSCRIBERS: usize = 8;

/// What one token of sound takes that the model makes: 50 ms, as 16-bit samples at 24 kHz.
const PCM_BYTES_PER_TOKEN: u64 = 2 * 24_000 / 20;
/// The same in the formats of telephones, with 8-bit samples at 8 kHz.
const G711_BYTES_PER_TOKEN: u64 = 8_000 / 20;

/// What the events have told up to here.
#[derive(Default)]
pub(super) struct Session {
    /// What responses reported or are estimated to have used.
    sum: Option<Usage>,
    /// What a next response reads at least, as far as it is known: what the last one read and wrote, for all of it is
    /// the conversation.
    context: Context,
    responses: Opened,
    /// Something was estimated, or could not be read and may have been a report.
    estimated: bool,
    transcripts: Vec<Transcripts>,
    transcriptions: Opened,
    /// What writes down what is said now.
    transcriber: Option<String>,
    telephone: bool,
}

/// What a response reads.
#[derive(Clone, Copy)]
enum Context {
    /// The instructions, so many bytes.
    Instructions(u64),
    Tokens(u64),
}

impl Default for Context {
    fn default() -> Self {
        Self::Instructions(0)
    }
}

impl Session {
    /// Takes an event. What is none is nothing that anybody could have understood; it may have been a report.
    pub(super) fn event(&mut self, json: &[u8]) {
        match serde_json::from_slice::<Told<'_>>(json) {
            Ok(told) => self.told(&told),
            Err(_) => self.estimated = true,
        }
    }

    /// An event came that cannot be read.
    pub(super) fn unreadable(&mut self) {
        self.estimated = true;
    }

    fn told(&mut self, told: &Told<'_>) {
        match &*told.r#type {
            "session.created"
            | "session.updated"
            | "transcription_session.created"
            | "transcription_session.updated" => {
                if let Some(session) = told.session {
                    self.configured(session);
                }
            }
            "response.created" => {
                let response = told.response();
                self.responses
                    .of(id(response.as_ref().and_then(|it| it.id)));
            }
            "response.done" => self.done(told),
            "response.output_audio.delta" | "response.audio.delta" => {
                let sound = told.delta.map_or(0, |delta| delta.get().len() as u64);
                // Base64 within quotes.
                let bytes = sound.saturating_sub(2) / 4 * 3;
                self.responses.of(id(told.response_id)).sound(bytes);
            }
            "conversation.item.input_audio_transcription.delta" => {
                self.transcriptions
                    .of(id(told.item_id))
                    .text(text_bytes(told.delta));
            }
            "conversation.item.input_audio_transcription.completed" => self.transcribed(told),
            "conversation.item.input_audio_transcription.failed" => {
                self.transcriptions.end(id(told.item_id));
            }
            // Texts, what was said as text, and the arguments of calls.
            delta if delta.starts_with("response.") && delta.ends_with(".delta") => {
                self.responses
                    .of(id(told.response_id))
                    .text(text_bytes(told.delta));
            }
            _ => {}
        }
    }

    fn configured(&mut self, session: &RawValue) {
        let Ok(session) = serde_json::from_str::<Configured<'_>>(session.get()) else {
            return;
        };
        let audio = session.audio.unwrap_or_default();
        let input = audio.input.unwrap_or_default();
        let transcription = input.transcription.or(session.input_audio_transcription);
        let model = transcription.and_then(|it| it.model);
        self.transcriber = model.and_then(|it| checked_model(&it).ok().map(str::to_owned));
        let format = audio.output.and_then(|it| it.format?.r#type);
        let format = format.or(session.output_audio_format).unwrap_or_default();
        self.telephone = matches!(
            &*format,
            "audio/pcmu" | "audio/pcma" | "g711_ulaw" | "g711_alaw"
        );
        if let Context::Instructions(bytes) = &mut self.context {
            *bytes = text_bytes(session.instructions);
        }
    }

    fn done(&mut self, told: &Told<'_>) {
        let Some(response) = told.response() else {
            self.estimated = true;
            return;
        };
        let begun = self.responses.end(id(response.id));
        match response.usage.map(read_report) {
            Some(Some(usage)) => {
                add(self.sum.get_or_insert_default(), &usage);
                let read = usage.input_tokens.saturating_add(usage.cached_input_tokens);
                self.context = Context::Tokens(read.saturating_add(usage.output_tokens));
            }
            // A lie in the place of a report.
            Some(None) => {
                self.estimated = true;
                self.cut(begun);
            }
            // One that was cancelled before anything came of it has no report, and used nothing.
            None => self.cut(begun.filter(Begun::has_output)),
        }
    }

    /// A response is at its end without a report.
    fn cut(&mut self, begun: Option<Begun>) {
        let Some(begun) = begun else {
            return;
        };
        let per_token = match self.telephone {
            true => G711_BYTES_PER_TOKEN,
            false => PCM_BYTES_PER_TOKEN,
        };
        let usage = Usage {
            input_tokens: match self.context {
                Context::Instructions(bytes) => bytes.div_ceil(BYTES_PER_TOKEN),
                Context::Tokens(tokens) => tokens,
            },
            output_tokens: begun.text_tokens() + begun.sound_bytes.div_ceil(per_token),
            ..Usage::default()
        };
        add(self.sum.get_or_insert_default(), &usage);
        self.estimated = true;
    }

    fn transcribed(&mut self, told: &Told<'_>) {
        let begun = self.transcriptions.end(id(told.item_id));
        let report = told
            .usage
            .and_then(|it| serde_json::from_str::<Transcribed<'_>>(it.get()).ok());
        match report {
            Some(Transcribed {
                r#type,
                input_tokens: Some(input),
                output_tokens: Some(output),
                ..
            }) if r#type == "tokens" => {
                let usage = Usage {
                    input_tokens: input.0,
                    output_tokens: output.0,
                    ..Usage::default()
                };
                add(&mut self.transcriber().counted.usage, &usage);
            }
            Some(Transcribed {
                r#type,
                seconds: Some(_),
                ..
            }) if r#type == "duration" => self.transcriber().timed = true,
            _ => {
                let mut begun = begun.unwrap_or_default();
                begun.text_bytes = begun.text_bytes.max(text_bytes(told.transcript));
                self.cut_transcription(begun);
            }
        }
    }

    /// A transcription is at its end without a report. What it heard is not known.
    fn cut_transcription(&mut self, begun: Begun) {
        let usage = Usage {
            output_tokens: begun.text_tokens(),
            ..Usage::default()
        };
        let counted = &mut self.transcriber().counted;
        add(&mut counted.usage, &usage);
        counted.estimated = true;
    }

    /// What the model used up to here that writes down what is said now.
    fn transcriber(&mut self) -> &mut Transcripts {
        let transcripts = &mut self.transcripts;
        let known = |model: &Option<String>, all: &[Transcripts]| {
            all.iter().position(|it| it.model == *model)
        };
        let (model, place) = match known(&self.transcriber, transcripts) {
            None if transcripts.len() >= MAX_TRANSCRIBERS => (None, known(&None, transcripts)),
            place => (self.transcriber.clone(), place),
        };
        let place = place.unwrap_or_else(|| {
            transcripts.push(Transcripts {
                model,
                counted: Counted::default(),
                timed: false,
            });
            transcripts.len() - 1
        });
        &mut transcripts[place]
    }

    /// The session is at its end, and so is whatever has not ended.
    pub(super) fn end(mut self) -> Consumed {
        for begun in self.responses.take() {
            self.cut(Some(begun));
        }
        for begun in self.transcriptions.take() {
            self.cut_transcription(begun);
        }
        let estimated = self.estimated;
        Consumed {
            responses: self.sum.map(|usage| Counted { usage, estimated }),
            transcripts: self.transcripts,
        }
    }
}

/// An id as it is written; what has none goes by the empty one.
fn id(raw: Option<&RawValue>) -> &str {
    raw.map_or("", RawValue::get)
}

/// How many bytes a text has.
fn text_bytes(raw: Option<&RawValue>) -> u64 {
    let text = raw.map(|raw| serde_json::from_str::<String>(raw.get()));
    text.and_then(Result::ok)
        .map_or(0, |text| text.len() as u64)
}

/// An event.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    session: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    response_id: Option<&'a RawValue>,
    #[serde(borrow)]
    item_id: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    transcript: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

impl<'a> Told<'a> {
    fn response(&self) -> Option<Response<'a>> {
        serde_json::from_str(self.response?.get()).ok()
    }
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

/// A report of a transcription: of `tokens`, or a `duration`.
#[derive(Deserialize)]
struct Transcribed<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    input_tokens: Option<Count>,
    output_tokens: Option<Count>,
    seconds: Option<f64>,
}

/// How a session is set up, as the beta and the version after it write it.
#[derive(Deserialize)]
struct Configured<'a> {
    audio: Option<Audio>,
    input_audio_transcription: Option<Transcription>,
    output_audio_format: Option<String>,
    #[serde(borrow)]
    instructions: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Audio {
    input: Option<Input>,
    output: Option<Output>,
}

#[derive(Default, Deserialize)]
struct Input {
    transcription: Option<Transcription>,
}

#[derive(Deserialize)]
struct Transcription {
    model: Option<String>,
}

#[derive(Deserialize)]
struct Output {
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Format {
    r#type: Option<String>,
}

#[cfg(test)]
mod tests;
