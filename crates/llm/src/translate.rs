//! Serves a client of one format by a provider of another.
//!
//! [`request`] turns the client's body into the provider's; the [`Plan`] that comes with it turns the answer back,
//! whole or as it streams. Everything goes through one form that is in no format. Nothing is left out in silence, of a
//! request or of an answer: what would change the meaning is refused ([`NotTranslatable`]), what would not is named
//! ([`Warnings`]).
//!
//! Calls in the provider's own format never come here: their bytes pass as they are.

use bytes::Bytes;

use crate::format::{
    AnthropicMessages, ErrorBody, FormatId, GeminiGenerateContent, OpenaiChat, OpenaiResponses,
    TokenLimit,
};
use crate::neutral::{Answer, Happening, MAX_ANSWERS, Mishap, Request};
pub use crate::neutral::{NotTranslatable, Warnings};
use crate::provider::Thinking;
use crate::sse::Event;

mod choices;
mod echo;
mod error;
mod names;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use choices::Choices;
pub(crate) use echo::{ECHOED, Echo};
pub(crate) use error::{mishap_of, mishap_of_event};
pub(crate) use names::{call_name, named};
pub use stream::{MAX_KEPT_BYTES, StreamTranslator};

/// The limit of an answer's length for providers that need one, where the client sets none and the model's own is not
/// lower. As long as the answers that clients of other formats are used to get without a limit.
pub const DEFAULT_MAX_TOKENS: u64 = 16_384;

/// The name under which the end of a stream says what its answer left out, as the header does of what is known before.
const WARNINGS: &str = "x-keybearer-warnings";

/// The longest whole answer that is translated, in bytes. It is read into memory.
pub const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// What is known of a provider that a request is written for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Target {
    /// Which field limits the answer's length, where the format has two.
    pub token_limit: TokenLimit,
    /// The most output tokens of the model, if known.
    pub max_output_tokens: Option<u64>,
    /// How the model is asked to think, where the format knows several ways.
    pub thinking: Thinking,
    /// Whether a stream may be asked to tell its usage, where the format leaves the choice.
    pub stream_usage: bool,
}

/// A request in the provider's format.
#[derive(Debug)]
pub struct Translated {
    /// Its body.
    pub body: Bytes,
    /// What it does not say any more.
    pub warnings: Warnings,
    /// How its answer is turned back.
    pub plan: Plan,
}

/// What an answer has to look like for the client.
#[derive(Debug, Clone)]
pub struct Plan {
    client: FormatId,
    upstream: FormatId,
    asked: Asked,
}

/// What the client asked of the answer.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Whether a stream tells its usage, where the format leaves the choice.
    pub(crate) reports_usage: bool,
    /// How many answers were asked for.
    pub(crate) answers: u64,
    /// What the answer repeats of the request.
    pub(crate) echo: Echo,
    /// Whether a stream is a list that comes piece by piece, where the format leaves the choice.
    pub(crate) listed: bool,
}

/// What an answer says of itself where its provider does not.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// The request's id, for errors and for names of what has none.
    pub request: String,
    /// Now, in seconds since 1970.
    pub at_s: i64,
    /// How many tokens its input has, as estimated here: for formats that cannot say that it is not known.
    pub input_tokens: u64,
}

/// Whether a client of `client` can be served by a provider of `upstream`, which is another format.
pub fn can(client: FormatId, upstream: FormatId) -> bool {
    client != upstream && dialect(client).is_some() && dialect(upstream).is_some()
}

/// Formats that a client of `client` can be served by, best first: for clients that send back what was thought one that
/// proves it, then the one with the most in common.
pub fn instead_of(client: FormatId) -> &'static [FormatId] {
    use FormatId::{AnthropicMessages, GeminiGenerateContent, OpenaiChat, OpenaiResponses};
    match client {
        OpenaiChat => &[OpenaiResponses, AnthropicMessages, GeminiGenerateContent],
        // Chat completions have no word for what was thought, which some models want back beside their calls.
        OpenaiResponses => &[AnthropicMessages, GeminiGenerateContent, OpenaiChat],
        AnthropicMessages => &[OpenaiResponses, GeminiGenerateContent, OpenaiChat],
        GeminiGenerateContent => &[OpenaiResponses, AnthropicMessages, OpenaiChat],
        _ => &[],
    }
}

/// What stands in the path of a request in some formats, and not in its body.
#[derive(Debug, Clone, Copy)]
pub struct Beside<'a> {
    /// The target's name for the model.
    pub model: &'a str,
    /// Whether a stream is wanted.
    pub stream: bool,
    /// Whether it is wanted as a list that comes piece by piece, not as events.
    pub listed: bool,
}

/// Translates a request whose `model` is the target's already, and whose body says everything.
///
/// # Errors
/// As [`request_beside`].
pub fn request(
    client: FormatId,
    upstream: FormatId,
    body: &[u8],
    target: &Target,
) -> Result<Translated, NotTranslatable> {
    request_beside(client, upstream, None, body, target)
}

/// Translates a request. What `beside` says counts more than the body.
///
/// # Errors
/// [`NotTranslatable`] names the field that no translation would be true to, or that cannot be read.
pub fn request_beside(
    client: FormatId,
    upstream: FormatId,
    beside: Option<Beside<'_>>,
    body: &[u8],
    target: &Target,
) -> Result<Translated, NotTranslatable> {
    let none = || NotTranslatable::new("body", "no translation is known");
    let (from, to) = dialect(client)
        .zip(dialect(upstream))
        .filter(|_| client != upstream)
        .ok_or_else(none)?;
    let mut warnings = Warnings::default();
    let mut request = from.read_request(body, &mut warnings)?;
    if let Some(beside) = beside {
        beside.model.clone_into(&mut request.model);
        request.stream = beside.stream;
    }
    let asked = Asked {
        reports_usage: request.reports_usage,
        answers: request.answers.clamp(1, MAX_ANSWERS),
        echo: Echo::of(client, body, &mut warnings),
        listed: beside.is_some_and(|it| it.listed),
    };
    let body = to
        .write_request(request, target, &mut warnings)
        .map_err(|why| in_words_of(client, why))?;
    Ok(Translated {
        body: body.into(),
        warnings,
        plan: Plan {
            client,
            upstream,
            asked,
        },
    })
}

/// Who speaks Gemini's content asked for several answers by another name than the one that everybody else knows.
fn in_words_of(client: FormatId, why: NotTranslatable) -> NotTranslatable {
    match client == FormatId::GeminiGenerateContent && why.path() == "n" {
        true => NotTranslatable::within(
            "generationConfig",
            "candidateCount",
            "a call has one answer",
        ),
        false => why,
    }
}

impl Plan {
    /// The provider's format.
    pub fn upstream(&self) -> FormatId {
        self.upstream
    }

    /// Whether the client wants a stream as a list that comes piece by piece, not as events.
    pub fn is_listed(&self) -> bool {
        self.asked.listed
    }

    /// A whole answer in the client's format; where a list is wanted, one of one element.
    ///
    /// # Errors
    /// [`NotTranslatable`] if the body is no answer, or one that the client's format cannot express.
    pub fn answer(&self, body: &[u8], stamp: &Stamp) -> Result<Bytes, NotTranslatable> {
        let mut warnings = Warnings::default();
        let (to, answer) = self.read(body, &mut warnings)?;
        if let Some(mishap) = &answer.mishap {
            return Ok(self.write_error(mishap, stamp));
        }
        self.write(to, &answer, stamp, &mut warnings)
    }

    /// As [`answer`](Self::answer), of a body that must be an answer. Adds what the client's format has no words for to
    /// `warnings`.
    ///
    /// # Errors
    /// As [`answer`](Self::answer), and if the body tells of an error instead.
    pub fn answer_alone(
        &self,
        body: &[u8],
        stamp: &Stamp,
        warnings: &mut Warnings,
    ) -> Result<Bytes, NotTranslatable> {
        let (to, answer) = self.read(body, warnings)?;
        if answer.mishap.is_some() {
            let why = "an error stands in the answer's place";
            return Err(NotTranslatable::new("error", why));
        }
        self.write(to, &answer, stamp, warnings)
    }

    fn write(
        &self,
        to: &dyn Dialect,
        answer: &Answer,
        stamp: &Stamp,
        warnings: &mut Warnings,
    ) -> Result<Bytes, NotTranslatable> {
        let answer = to.write_answer(answer, &self.asked, stamp, warnings)?;
        Ok(match self.asked.listed {
            true => format!("[{answer}]").into(),
            false => answer.into(),
        })
    }

    fn read(
        &self,
        body: &[u8],
        warnings: &mut Warnings,
    ) -> Result<(&'static dyn Dialect, Answer), NotTranslatable> {
        let none = || NotTranslatable::new("body", "no translation is known");
        let (to, from) = dialect(self.client)
            .zip(dialect(self.upstream))
            .ok_or_else(none)?;
        let mut answer = from.read_answer(body, self.asked.answers, warnings)?;
        names::model_name(&mut answer.model);
        Ok((to, answer))
    }

    /// A stream on its way to the client's format. `None`: no translation is known, as for a plan of [`request`] it
    /// always is.
    pub fn stream(&self, stamp: Stamp) -> Option<StreamTranslator> {
        let reader = dialect(self.upstream)?.stream_reader(self.asked.answers);
        let writer = dialect(self.client)?.stream_writer(self.asked.clone(), stamp);
        Some(StreamTranslator::new(reader, writer))
    }

    /// A provider's error in the client's format, with the provider's words. `None`: it has none that can be read.
    pub fn error(&self, status: u16, body: &[u8], stamp: &Stamp) -> Option<Bytes> {
        let mishap = mishap_of(status, body)?;
        Some(self.write_error(&mishap, stamp))
    }

    fn write_error(&self, mishap: &Mishap, stamp: &Stamp) -> Bytes {
        let format = self.client.format();
        with_error(mishap, stamp, |error| format.error(error))
    }
}

/// What a format that can be translated reads and writes. The implementors hold no state.
pub(crate) trait Dialect: Sync {
    fn read_request(
        &self,
        body: &[u8],
        warnings: &mut Warnings,
    ) -> Result<Request, NotTranslatable>;

    fn write_request(
        &self,
        request: Request,
        target: &Target,
        warnings: &mut Warnings,
    ) -> Result<String, NotTranslatable>;

    /// `answers`: how many were asked for; others are left out.
    fn read_answer(
        &self,
        body: &[u8],
        answers: u64,
        warnings: &mut Warnings,
    ) -> Result<Answer, NotTranslatable>;

    fn write_answer(
        &self,
        answer: &Answer,
        asked: &Asked,
        stamp: &Stamp,
        warnings: &mut Warnings,
    ) -> Result<String, NotTranslatable>;

    /// `answers`: how many were asked for; others are left out.
    fn stream_reader(&self, answers: u64) -> Box<dyn StreamReader>;

    fn stream_writer(&self, asked: Asked, stamp: Stamp) -> Box<dyn StreamWriter>;
}

/// Reads the events of a provider's stream.
pub(crate) trait StreamReader: Send {
    /// Takes an event and adds what happened.
    fn event(&mut self, event: Event<'_>, happened: &mut Vec<Happening>);

    /// The stream is at its end. Adds what only that says.
    fn finish(&mut self, happened: &mut Vec<Happening>);

    /// What it read up to here that has no place in any happening.
    fn warnings(&self) -> &Warnings;

    /// How many bytes it keeps until they can be told.
    fn kept_bytes(&self) -> usize {
        0
    }
}

/// Writes the events of the client's stream.
pub(crate) trait StreamWriter: Send {
    /// Adds the text for what happened.
    fn write(&mut self, happening: Happening, out: &mut String);

    /// What it had no words for up to here, that the client can do without.
    fn warnings(&self) -> Option<&Warnings> {
        None
    }

    /// Names what the answer had to leave out, before its end is written: the headers are gone. Clients of events pass over
    /// comments.
    fn warn(&mut self, warnings: &Warnings, out: &mut String) {
        out.push_str(&format!(": {WARNINGS}: {warnings}\n\n"));
    }

    /// What it has no words for, after which nothing more can be written but an error.
    fn fault(&self) -> Option<Mishap> {
        None
    }

    /// How many bytes it keeps until the end.
    fn kept_bytes(&self) -> usize {
        0
    }
}

fn dialect(format: FormatId) -> Option<&'static dyn Dialect> {
    match format {
        FormatId::OpenaiChat => Some(&OpenaiChat),
        FormatId::OpenaiResponses => Some(&OpenaiResponses),
        FormatId::AnthropicMessages => Some(&AnthropicMessages),
        FormatId::GeminiGenerateContent => Some(&GeminiGenerateContent),
        _ => None,
    }
}

/// Lets `write` write a provider's error.
pub(crate) fn with_error<T>(
    mishap: &Mishap,
    stamp: &Stamp,
    write: impl FnOnce(&ErrorBody<'_>) -> T,
) -> T {
    write(&ErrorBody {
        number: None,
        status: mishap.status,
        code: mishap.code.as_deref().unwrap_or("upstream_rejected"),
        message: &mishap.message,
        hint: None,
        request: &stamp.request,
        details: serde_json::Map::new(),
    })
}

/// The effort that a budget for thinking stands for, roughly.
pub(crate) fn effort_of(budget_tokens: u64) -> &'static str {
    match budget_tokens {
        0..=4_096 => "low",
        4_097..=16_384 => "medium",
        _ => "high",
    }
}
