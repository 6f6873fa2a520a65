//! One attempt: the request goes out with one key, and what comes back is judged by its head.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::RequestId;
use domain::key::FailureKind;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;
use llm::format::Metered;
use llm::head::{self, Head};
use llm::translate::Translated;
use scrub::Needles;
use tokio::time::Instant;
use vault::OpenError;

use crate::Plane;
use crate::admit::essence;
use crate::endpoint::Call;
use crate::error::Failure;
use crate::headers;
use crate::plan::way::Way;
use crate::realtime::Switched;
use crate::snapshot::View;
use crate::upload::Upload;
use crate::upstream::{self, Answering, Departure, Outbound, Outgoing, SendError};

mod judge;
mod limits;
mod links;
mod opening;
mod restate;
mod translation;
mod vectors;

use judge::Judge;
use opening::Patience;
pub(crate) use restate::Restated;
use translation::Read;
pub(crate) use translation::{Rewriting, Translation, translated};

/// What every attempt of a call sends, but for the model's name, the address and the key.
pub(crate) struct Parcel {
    pub(crate) request: RequestId,
    pub(crate) call: &'static Call,
    pub(crate) method: Method,
    /// The client's headers that pass.
    pub(crate) headers: HeaderMap,
    pub(crate) hops: u32,
    pub(crate) head: Head,
    /// Whether the client wants its stream as a list, not as events.
    pub(crate) listed: bool,
    /// Whether its query asks for what the endpoint has in beta.
    pub(crate) beta: bool,
    /// All of it, or its beginning if the rest flows.
    pub(crate) body: Bytes,
    /// The rest of a body that flows.
    pub(crate) upload: Option<Upload>,
    /// What the body is; `None`: nobody said.
    pub(crate) media_type: Option<HeaderValue>,
    /// The moment by which the whole answer must be there.
    pub(crate) ends_at: Instant,
}

impl Parcel {
    /// What a provider gets, but for the model's name.
    pub(crate) fn body_for<'a>(&'a self, translated: Option<&'a Translated>) -> &'a Bytes {
        translated.map_or(&self.body, |translated| &translated.body)
    }

    /// How many bytes of it the input is estimated by.
    pub(crate) fn input_bytes(&self, translated: Option<&Translated>) -> u64 {
        let format = translated.map_or(self.call.format, |it| it.plan.upstream());
        format.format().input_bytes(self.body_for(translated))
    }

    /// Whether no other attempt can send all of it: something of a body that flows went out and is not held.
    pub(crate) fn is_spent(&self) -> bool {
        self.upload.as_ref().is_some_and(Upload::is_spent)
    }
}

/// What a provider answered, for the client. In a box from the start: it goes through many hands.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) content: Content,
    /// `None`: the provider spoke the client's format.
    pub(crate) translation: Option<Box<Translation>>,
    /// How long the key is of no use afterwards, in milliseconds, because nothing is left of its limits.
    pub(crate) rests_ms: Option<i64>,
}

/// An attempt that gave the client nothing. In a box, too: what succeeds would have its room.
pub(crate) struct Missed {
    /// What the client gets if this was all.
    pub(crate) failure: Failure,
    /// The provider's own words, which the client gets in its place.
    pub(crate) answer: Option<Box<Answer>>,
    pub(crate) next: Next,
    /// `None`: the provider did not answer.
    pub(crate) status: Option<StatusCode>,
    /// What sort of failure it is, if it is one of a key or a provider.
    pub(crate) said: Option<FailureKind>,
    /// Whether the provider did not accept the key.
    pub(crate) denied: bool,
    /// Whether it did not, or the key's balance is used up: more than `managed_on_failure` is needed then.
    pub(crate) turns_away: bool,
    /// At most seven weeks.
    pub(crate) retry_after_ms: Option<u32>,
    /// What was read of an answer that the client is not told.
    pub(crate) metered: Option<Box<Metered>>,
}

/// What may follow an attempt that missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The same key once more, then others.
    SameKeyOnce,
    /// Another key: this one's provider said nothing for as long as it may, and to wait for it once more helps nobody.
    AfterSilence,
    /// Another key.
    OtherKey,
    /// Another model, if the request names one: the provider does not know this one. Else its words.
    OtherModel,
    /// Nothing: the client is told.
    Told,
}

/// The body of an answer.
pub(crate) enum Content {
    /// It comes as it is made.
    Flowing {
        kind: Kind,
        /// The beginning, which was read already.
        first: Bytes,
        /// Whether that is all of it.
        whole: bool,
        body: Answering,
        needles: Arc<Needles>,
        asked: Asked,
    },
    /// A provider's error.
    Refusal(Refusal),
    /// It has left HTTP.
    Switched(Switched),
}

/// What the client asked of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// How many answers.
    pub(crate) answers: u64,
    /// Whether whatever the provider reports of usage is for the client; otherwise the report of a stream was asked
    /// for by us.
    pub(crate) usage: bool,
}

/// A provider's error.
pub(crate) enum Refusal {
    /// In its own words, read and scrubbed.
    Theirs(Bytes),
    /// In ours.
    Restated(Restated),
}

/// What a provider's answer is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Json,
    EventStream,
    /// What the endpoint lets pass beside them; its media type stands in the answer's headers.
    Raw,
}

impl Missed {
    fn new(failure: Failure, next: Next) -> Self {
        Self {
            failure,
            answer: None,
            next,
            status: None,
            said: None,
            denied: false,
            turns_away: false,
            retry_after_ms: None,
            metered: None,
        }
    }

    /// In one word, for attempts that are listed.
    pub(crate) fn kind(&self) -> &'static str {
        match self.said {
            Some(kind) => kind.as_str(),
            None => self.failure.code(),
        }
    }

    /// What belongs on the key's health page: what is about the key, not about the provider.
    pub(crate) fn blames_key(&self) -> Option<FailureKind> {
        self.said.filter(|kind| match kind {
            FailureKind::InvalidKey
            | FailureKind::NoPermission
            | FailureKind::NoQuota
            | FailureKind::RateLimited => true,
            FailureKind::ProviderError | FailureKind::Unreachable => false,
        })
    }

    /// Whether the key could not be used at all, for a reason on our side.
    pub(crate) fn is_unusable(&self) -> bool {
        matches!(
            self.failure,
            Failure::KeyUnreadable | Failure::KmsUnavailable
        )
    }
}

/// Sends a request one way, `translated` if the provider speaks another format. `departure` notes whether it left.
pub(crate) async fn send(
    plane: &Plane,
    view: &View,
    way: &Way,
    parcel: &Parcel,
    translated: Option<&Translated>,
    deadline: Instant,
    departure: Departure,
) -> Result<Box<Answer>, Box<Missed>> {
    let unusable = |failure| Missed::new(failure, Next::OtherKey);
    let ((record, data_key), reach) = view
        .key(&way.target)
        .zip(way.reach.as_ref())
        .ok_or_else(|| unusable(Failure::KeyUnreadable))?;
    let opened = plane
        .opener
        .open(&record.envelope, &record.context, data_key);
    let secret = opened
        .await
        .map_err(|error| unusable(unreadable(&error, way.target.key)))?;
    let needles = upstream::needles(&secret);
    let mut headers = headers::copied(&parcel.headers);
    if translated.is_some() {
        headers::remove_of_the_format(&mut headers);
    }
    for (name, value) in &reach.extra_headers {
        headers.entry(name).or_insert_with(|| value.clone());
    }
    if way.is_managed() {
        headers::remove_personal(&mut headers);
    }
    // Whether it passes as it is but for the model's name: pieces cost less than a copy.
    let in_pieces = translated.is_none() && parcel.upload.is_none() && !parcel.head.stream;
    let body = match translated {
        Some(translated) => translated.body.clone(),
        None if in_pieces => parcel.body.clone(),
        None => head::with_model(&parcel.body, &parcel.head, &way.target.model),
    };
    let format = translated.map_or(way.speaks, |it| it.plan.upstream());
    let other = way.also.iter().find(|(it, _)| *it == format);
    let reach = other.map_or(reach, |(_, reach)| reach);
    let streams = translated.is_some() && parcel.head.stream;
    let stream_url = reach.stream_url.as_ref().filter(|_| streams);
    // A translated request has the wish already.
    let wished = match translated {
        Some(_) => None,
        None if parcel.upload.is_some() => None,
        None => with_usage(plane, way, parcel, &body, &record.context.base_url),
    };
    let asked = Asked {
        answers: parcel.head.choices.unwrap_or(1),
        usage: wished.is_none(),
    };
    let body = wished.unwrap_or(body);
    let outgoing = Outgoing {
        pool: way.key,
        method: parcel.method.clone(),
        url: stream_url.unwrap_or(&reach.url),
        headers,
        body: match &parcel.upload {
            None if in_pieces => {
                let model = &way.target.model;
                Outbound::pieces(head::pieces_with_model(&body, &parcel.head, model))
            }
            None => Outbound::whole(body),
            Some(upload) => Outbound::Flowing(upload.begin(body)),
        },
        media_type: parcel.media_type.clone(),
        hops: parcel.hops,
        deadline,
        departure,
    };
    let response = plane.upstream.send(outgoing, &reach.auth, secret).await;
    let response = response.map_err(|error| {
        let failed = parcel.upload.as_ref().and_then(Upload::failure);
        // The client is at fault, not who was to get it.
        failed.map_or_else(|| not_sent(error), |it| Missed::new(it, Next::Told))
    })?;
    let now = plane.sources.now();
    let rests_ms = limits::rests_ms(response.headers(), now);
    let judge = Judge {
        call: parcel.call,
        format,
        needles: &needles,
        asked,
        managed: way.is_managed(),
        patience: Patience {
            idle: plane.config.timeouts.idle(),
            ends_at: parcel.ends_at,
        },
        now,
    };
    let mut translation = translated.map(|it| Box::new(Translation::of(it, parcel)));
    let mut outcome = judge.judge(response).await;
    if let Ok(answer) = outcome {
        let links = links::wanted(parcel, reach.url.path());
        let base_url = links.then_some(record.context.base_url.as_str());
        let translation = translation.as_deref_mut();
        outcome = readied(plane, parcel, &judge, answer, translation, base_url).await;
    }
    match outcome {
        Ok(mut answer) => {
            answer.translation = translation;
            answer.rests_ms = rests_ms;
            Ok(answer)
        }
        Err(mut missed) => {
            if let Some(answer) = &mut missed.answer {
                answer.translation = translation;
            }
            Err(missed)
        }
    }
}

/// Reads of an answer what must be read before the client gets any of it. `base_url`: the provider's, where links below
/// it are to lead back here.
async fn readied(
    plane: &Plane,
    parcel: &Parcel,
    judge: &Judge<'_>,
    mut answer: Box<Answer>,
    translation: Option<&mut Translation>,
    base_url: Option<&str>,
) -> Result<Box<Answer>, Box<Missed>> {
    if vectors::wanted(parcel) {
        vectors::encode_in(&mut answer, parcel, plane).await?;
    }
    if let Some(base_url) = base_url {
        links::turn_back(&mut answer, parcel, plane, base_url).await?;
    }
    if let Some(translation) = translation {
        match translation.read_whole(&mut answer, parcel, plane).await? {
            Read::Flows => {}
            Read::Whole(room) => translation.room = Some(room),
            Read::Refused(status, text) => {
                return judge.refused(answer.headers, status, Some(text));
            }
        }
    }
    Ok(answer)
}

/// Reads on in an answer of which the client gets nothing yet, while what is `read` by then shows that there is more to
/// be read. Whether that is all of the answer.
///
/// A provider may be silent as long as in an answer that passes, and the whole must be there by the end of the call.
async fn read_on(
    body: &mut Answering,
    read: &mut BytesMut,
    (idle, ends_at): (Duration, Instant),
    mut goes_on: impl FnMut(&[u8]) -> Result<bool, (Failure, Next)>,
) -> Result<bool, (Failure, Next)> {
    while goes_on(read)? {
        let until = (Instant::now() + idle).min(ends_at);
        match tokio::time::timeout_at(until, body.frame()).await {
            Ok(None) => return Ok(true),
            // Trailers say nothing.
            Ok(Some(Ok(frame))) => read.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Ok(Some(Err(_))) => return Err((Failure::UpstreamBroken, Next::SameKeyOnce)),
            Err(_) => return Err((Failure::UpstreamTimedOut, Next::Told)),
        }
    }
    Ok(false)
}

/// The body with the wish that the stream reports its usage, where the client has no such wish.
///
/// Who listens at a base URL of one's own is not known: there a field that the client did not write may be refused.
fn with_usage(
    plane: &Plane,
    way: &Way,
    parcel: &Parcel,
    body: &Bytes,
    base_url: &str,
) -> Option<Bytes> {
    let provider = plane.registry.get(&way.target.provider)?;
    let is_known = way.is_managed() || provider.base_url == base_url;
    if !is_known || !parcel.head.stream || !provider.takes_stream_options {
        return None;
    }
    parcel.call.format.format().with_usage(body)
}

/// JSON or an event stream, not compressed; `None` for anything else.
pub(crate) fn kind(headers: &HeaderMap) -> Option<Kind> {
    if is_encoded(headers) {
        return None;
    }
    match &*essence(headers.get(header::CONTENT_TYPE)?.as_bytes()) {
        b"application/json" => Some(Kind::Json),
        b"text/event-stream" => Some(Kind::EventStream),
        other if other.starts_with(b"application/") && other.ends_with(b"+json") => {
            Some(Kind::Json)
        }
        _ => None,
    }
}

fn is_encoded(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// The media type of an answer that the endpoint lets pass as it is, as the provider wrote it, without echoes of the
/// key; it may have none where anything passes.
fn raw(call: &Call, headers: &HeaderMap, needles: &Arc<Needles>) -> Option<Option<HeaderValue>> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    if is_encoded(headers) {
        return None;
    }
    let media_type = match (types.next(), types.next()) {
        (Some(media_type), None) => media_type,
        (None, _) if call.passes("") => return Some(None),
        _ => return None,
    };
    let named = essence(media_type.as_bytes());
    let named = str::from_utf8(&named).ok()?;
    if !call.passes(named) {
        return None;
    }
    headers::scrubbed(media_type, needles).map(Some)
}

/// Longest body of an error that is read.
const MAX_ERROR_BYTES: usize = 256 * 1024;
/// How long it may take.
const ERROR_WITHIN: Duration = Duration::from_secs(10);

/// An error's body; `None` if it is too long, too slow or broken.
async fn read_error(body: Answering) -> Option<Bytes> {
    read_at_most(body, MAX_ERROR_BYTES, Instant::now() + ERROR_WITHIN)
        .await
        .filter(|(_, whole)| *whole)
        .map(|(bytes, _)| bytes)
}

/// Up to `limit` bytes of a body, and whether that is all of it; `None` if it is too slow or broken.
pub(crate) async fn read_at_most(
    mut body: Answering,
    limit: usize,
    deadline: Instant,
) -> Option<(Bytes, bool)> {
    let mut bytes = BytesMut::new();
    let reading = async {
        while let Some(frame) = body.frame().await {
            if let Some(data) = frame.ok()?.data_ref() {
                let room = limit - bytes.len();
                bytes.extend_from_slice(&data[..data.len().min(room)]);
                if data.len() > room {
                    return Some(false);
                }
            }
        }
        Some(true)
    };
    let whole = tokio::time::timeout_at(deadline, reading).await.ok()??;
    Some((bytes.freeze(), whole))
}

fn not_sent(error: SendError) -> Missed {
    let (failure, next) = match error {
        SendError::Refused => (Failure::UpstreamAddressRefused, Next::Told),
        SendError::Unusable => (Failure::KeyUnreadable, Next::OtherKey),
        SendError::Unreachable => (Failure::UpstreamUnreachable, Next::SameKeyOnce),
        SendError::TimedOut => (Failure::UpstreamTimedOut, Next::SameKeyOnce),
        SendError::Silent => (Failure::UpstreamTimedOut, Next::AfterSilence),
    };
    let unreachable = matches!(next, Next::SameKeyOnce | Next::AfterSilence);
    Missed {
        said: unreachable.then_some(FailureKind::Unreachable),
        ..Missed::new(failure, next)
    }
}

fn unreadable(error: &OpenError, key: domain::ProviderKeyId) -> Failure {
    match error {
        OpenError::Integrity => {
            tracing::error!(provider_key.id = %key, "provider key {key} does not open; run `keybearer doctor`");
            Failure::KeyUnreadable
        }
        OpenError::Kms(_) => {
            tracing::error!(provider_key.id = %key, "the key service did not open the data key of provider key {key}");
            Failure::KmsUnavailable
        }
    }
}
