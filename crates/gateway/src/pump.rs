//! The answer flows to the client as it is made.
//!
//! Kept of it is only what the scrubber must hold back and, for reading usage, a line of a stream or the
//! `usage` of a body, both bounded. The client pulls: a slow client slows the provider down. When the client goes away, this body is dropped, and with it the request to the provider.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use domain::RequestId;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::{Body as HttpBody, Frame};
use llm::format::{FormatId, Metered, UsageTap, WireFormat};
use scrub::Scrubber;
use tokio::time::{Instant, Sleep};

use crate::attempts::Answered;
use crate::edge::Takeover;
use crate::endpoint::Priced;
use crate::error::Failure;
use crate::headers::{self, Served};
use crate::kept::Beginning;
use crate::realtime;
use crate::send::{Answer, Content, Kind, Refusal, Rewriting};
use crate::settle::{End, Settlement};
use crate::upload::Upload;
use crate::upstream::Answering;
use crate::{Body, BoxError, Plane};

mod broken;
mod numbers;
mod parting;
mod rewrite;
mod tail;

use broken::{Cut, learned};
use numbers::Numbers;
use parting::Parting;
use tail::Tail;

/// Turns an answer into the response, which settles the call when its body ends or is dropped.
pub(crate) fn pump(plane: &Plane, answered: Answered) -> Response<Body> {
    let Answered {
        mut settlement,
        call,
        served,
        answer,
        beginning,
        upload,
    } = answered;
    let Answer {
        status,
        headers: passed,
        content,
        translation,
        rests_ms: _,
    } = *answer;
    let request = settlement.request();
    let now = plane.sources.now();
    let listed = translation.as_ref().is_some_and(|it| it.is_listed());
    let client = call.format.format();
    let mut said = HeaderMap::new();
    let mut cost = None;
    let mut upstream = client;
    if let Some(translation) = &translation {
        translation.write(&mut said);
        upstream = translation.upstream().format();
    }
    let (kind, body) = match content {
        Content::Switched(switched) => {
            let begun = realtime::begin(plane, settlement, switched);
            return session(begun, passed, &served, request);
        }
        Content::Refusal(refusal) => {
            let text = match refusal {
                Refusal::Theirs(text) => match &translation {
                    Some(translation) => translation
                        .refusal(status, &text, request, now)
                        .unwrap_or_else(|| {
                            let rejected = Failure::UpstreamRejected {
                                status,
                                retry_after_s: None,
                            };
                            rejected.body(client, request)
                        }),
                    None => text,
                },
                Refusal::Restated(restated) => restated.body(client, request),
            };
            settlement.finish(&End {
                status: status.as_u16(),
                error_code: Some("upstream_rejected"),
                metered: Metered::default(),
                response_bytes: text.len() as u64,
            });
            (Kind::Json, crate::full(text))
        }
        Content::Flowing {
            kind,
            first,
            whole,
            body,
            needles,
            asked,
        } => {
            // A list that comes piece by piece is a stream, too.
            settlement.streamed(kind == Kind::EventStream || call.streams());
            // What the client gets; it may want the provider's events as a list.
            let told = match kind {
                Kind::EventStream if listed => Kind::Json,
                kind => kind,
            };
            let tail = Tail::of(told, client, asked, settlement.is_managed());
            let says_end = upstream.says_end() && kind == Kind::EventStream;
            // What was translated is kept by nobody; what credits paid for is no workspace's.
            let keeps = beginning > 0
                && status.is_success()
                && kind != Kind::Raw
                && translation.is_none()
                && !settlement.is_managed();
            let tap = (call.priced != Priced::Unknown)
                .then(|| upstream.usage_tap(kind == Kind::EventStream));
            // What is there as a whole was metered before its head goes out, which then says what it costs.
            let (tap, metered) = match tap {
                Some(mut tap) if whole => {
                    meter(&mut *tap, &first, &settlement);
                    (None, Some(tap.finish()))
                }
                tap => (tap, None),
            };
            cost = settlement.known_cost(metered.as_ref());
            let rewriting = translation.and_then(|it| it.begin(kind, &needles, request, now));
            // What was translated is numbered by who wrote it.
            let numbers = rewriting.is_none()
                && kind == Kind::EventStream
                && call.format == FormatId::OpenaiResponses;
            let numbers = numbers.then(Numbers::default);
            let relay = Relay {
                first,
                upstream: Some(body),
                upload,
                tail,
                written: None,
                scrubber: Scrubber::new(needles),
                rewriting,
                tap,
                metered,
                answers: says_end.then_some(asked.answers.max(1)),
                numbers,
                beginning: keeps
                    .then(|| Box::new(Beginning::new(plane, beginning, kind == Kind::EventStream))),
                settlement: Some(settlement),
                format: client,
                kind,
                status,
                idle: plane.config.timeouts.idle(),
                deadline: None,
                alarm: None,
                waits_since: None,
                sent_bytes: 0,
                left_bytes: plane.config.limits.answer_bytes,
                given_at: None,
                total: plane.config.timeouts.total(),
                done: false,
                cut: None,
            };
            (told, Body::new(relay))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    *headers = passed;
    headers.extend(said);
    headers::ours(headers, request);
    served.write(headers);
    if let Some(cost) = cost.filter(|_| status.is_success()) {
        headers::costs(headers, cost);
    }
    let content_type = match kind {
        Kind::Json => Some("application/json"),
        Kind::EventStream => Some("text/event-stream"),
        Kind::Raw => None,
    };
    match content_type {
        Some(content_type) => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        // Whatever it is, no browser runs it in our name.
        None => {
            let policy = HeaderValue::from_static("sandbox; default-src 'none'");
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
    }
    if !status.is_success() {
        headers.insert(headers::ERROR_SOURCE, HeaderValue::from_static("upstream"));
    }
    response
}

/// Shows a piece of the answer to its tap. What credits are taken by is believed only within bounds, which are known at its
/// end; then the text has to be counted.
fn meter(tap: &mut dyn UsageTap, piece: &Bytes, settlement: &Settlement) {
    match settlement.is_managed() {
        true => tap.push(piece),
        false => tap.push_believing(piece),
    }
}

/// The answer by which a session begins.
fn session(
    begun: Takeover,
    passed: HeaderMap,
    served: &Served,
    request: RequestId,
) -> Response<Body> {
    let mut response = Response::new(crate::full(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.extensions_mut().insert(begun);
    let headers = response.headers_mut();
    *headers = passed;
    headers::ours(headers, request);
    served.write(headers);
    response
}

/// How long the end of an answer that credits pay for waits for its row to be written. The row stays in the queue.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);

/// The provider's answer on its way, and everything that ends with it.
struct Relay {
    /// What was read before the answer was judged.
    first: Bytes,
    /// `None`: somebody else reads on.
    upstream: Option<Answering>,
    /// The request's body, which may flow yet when the answer begins. It stops with the answer.
    upload: Option<Upload>,
    /// What does not go out as it comes.
    tail: Option<Tail>,
    /// Ready when the row of an answer that is at its end is written.
    written: Option<Written>,
    scrubber: Scrubber,
    /// `None`: the bytes pass as they are.
    rewriting: Option<Rewriting>,
    tap: Option<Box<dyn UsageTap>>,
    /// What the tap learned up to the provider's end.
    metered: Option<Metered>,
    /// How many answers a stream has to bring to their end; `None`: its end says nothing.
    answers: Option<u64>,
    /// `None`: the client's format numbers no events, or not the provider's.
    numbers: Option<Numbers>,
    /// `None`: it tells nothing, or what it told is noted.
    beginning: Option<Box<Beginning>>,
    settlement: Option<Settlement>,
    format: &'static dyn WireFormat,
    kind: Kind,
    status: StatusCode,
    idle: Duration,
    total: Duration,
    /// When the whole answer must be there.
    deadline: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
    /// Since when the next piece is waited for; `None`: it is not.
    waits_since: Option<Instant>,
    sent_bytes: u64,
    left_bytes: u64,
    /// Since when a piece of the answer is the client's; `None`: it waits for more, or nobody wants to know.
    given_at: Option<Instant>,
    done: bool,
    /// The error that ends it, until what came before has left.
    cut: Option<BoxError>,
}

type Written = Pin<Box<dyn Future<Output = ()> + Send>>;

impl HttpBody for Relay {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(error) = self.cut.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let frame = std::task::ready!(self.as_mut().poll_next(cx));
        if let Some(Err(error)) = frame {
            // What a server has not written when a body fails it throws away, the head too; it writes while it waits.
            self.cut = Some(error);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.done && self.cut.is_none()
    }
}

impl Relay {
    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let relay = &mut *self;
        if let Some(given_at) = relay.given_at.take()
            && let Some(settlement) = &mut relay.settlement
        {
            settlement.waited(given_at.elapsed());
        }
        if let Some(written) = &mut relay.written {
            std::task::ready!(written.as_mut().poll(cx));
            relay.written = None;
            relay.done = true;
            let tail = relay.tail.take().map(Tail::finish).unwrap_or_default();
            let tail = relay.with_room(tail);
            return Poll::Ready((!tail.is_empty()).then(|| Ok(Frame::data(tail))));
        }
        while !relay.done {
            let Some(upstream) = &mut relay.upstream else {
                return Poll::Ready(None);
            };
            let polled = if relay.first.is_empty() {
                Pin::new(upstream).poll_frame(cx)
            } else {
                let first = std::mem::take(&mut relay.first);
                Poll::Ready(Some(Ok(Frame::data(first))))
            };
            match polled {
                Poll::Ready(Some(Ok(frame))) => {
                    relay.waits_since = None;
                    // Trailers do not pass.
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    let Some(left) = relay.left_bytes.checked_sub(data.len() as u64) else {
                        return relay.break_off(Failure::UpstreamBroken);
                    };
                    relay.left_bytes = left;
                    if let (Some(tap), Some(settlement)) = (&mut relay.tap, &relay.settlement) {
                        meter(&mut **tap, &data, settlement);
                    }
                    let ready = relay.scrubber.push(data);
                    // Behind the scrubber: an echo of the key is no id.
                    if let Some(beginning) = &mut relay.beginning {
                        beginning.push(&ready);
                    }
                    if let Some(numbers) = &mut relay.numbers {
                        numbers.push(&ready);
                    }
                    let ready = match relay.rewrite(ready) {
                        Ok(ready) => ready,
                        Err(failure) => return relay.break_off(failure),
                    };
                    if relay.gave_up() {
                        return relay.end_with(ready);
                    }
                    let ready = match &mut relay.tail {
                        Some(tail) => tail.hold_back(ready),
                        None => ready,
                    };
                    if !ready.is_empty() {
                        return relay.pass(ready);
                    }
                }
                Poll::Ready(Some(Err(_))) => {
                    let failed = relay.upload.as_ref().and_then(Upload::failure);
                    return relay.break_off(failed.unwrap_or(Failure::UpstreamBroken));
                }
                Poll::Ready(None) => {
                    let cut_off = relay.is_cut_off();
                    let rest = relay.scrubber.finish();
                    let mut rest = match relay.rewrite_last(rest) {
                        Ok(rest) => rest,
                        Err(failure) => return relay.break_off(failure),
                    };
                    if relay.gave_up() {
                        return relay.end_with(rest);
                    }
                    match cut_off {
                        // What was translated says itself whether it is whole.
                        _ if relay.rewriting.is_some() => {}
                        Some(Cut::Told) => return relay.end_with(rest),
                        Some(Cut::Untold) => {
                            return relay.break_off_behind(&rest, Failure::UpstreamBroken);
                        }
                        None => {}
                    }
                    if relay.holds() {
                        relay.end_when_written(&rest);
                        return self.as_mut().poll_next(cx);
                    }
                    if let Some(mut tail) = relay.tail.take() {
                        tail.append(&rest);
                        rest = tail.finish();
                    }
                    relay.sent_bytes += rest.len() as u64;
                    relay.end(None);
                    let rest = relay.with_room(rest);
                    if !rest.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(rest))));
                    }
                }
                Poll::Pending => {
                    if relay.alarm(cx).is_pending() {
                        return Poll::Pending;
                    }
                    return relay.break_off(Failure::UpstreamTimedOut);
                }
            }
        }
        Poll::Ready(None)
    }

    /// Whether the end is held back until the call is settled.
    fn holds(&self) -> bool {
        self.tail.as_ref().is_some_and(Tail::holds)
    }

    fn pass(&mut self, bytes: Bytes) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.sent_bytes += bytes.len() as u64;
        let is_paced = self.settlement.as_ref().is_some_and(Settlement::is_paced);
        self.given_at = is_paced.then(Instant::now);
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    /// Ready when the provider has been silent for too long and took nothing of the request's body either, or the whole
    /// takes too long.
    fn alarm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let started_at = self.settlement.as_ref().map(Settlement::started_at);
        let deadline = *self
            .deadline
            .get_or_insert_with(|| started_at.unwrap_or_else(Instant::now) + self.total);
        let since = *self.waits_since.get_or_insert_with(Instant::now);
        // It is set once and not for each piece: when it rings, it is asked since when nothing came.
        let alarm = self.alarm.get_or_insert_with(|| {
            Box::pin(tokio::time::sleep_until((since + self.idle).min(deadline)))
        });
        loop {
            std::task::ready!(alarm.as_mut().poll(cx));
            let moved_at = self.upload.as_ref().map(Upload::moved_at);
            let since = moved_at.map_or(since, |moved_at| moved_at.max(since));
            let until = (since + self.idle).min(deadline);
            match until > Instant::now() {
                true => alarm.as_mut().reset(until),
                false => return Poll::Ready(()),
            }
        }
    }

    /// The answer is at its end, and the client gets the last of it when its row is written. So an answer that was
    /// delivered whole is never left uncharged.
    fn end_when_written(&mut self, rest: &[u8]) {
        self.alarm = None;
        let metered = self.metered();
        if let Some(tail) = &mut self.tail {
            tail.append(rest);
            self.sent_bytes += tail.len();
        }
        self.note_kept();
        let settlement = self.settlement.take();
        let told = settlement.map(|settlement| {
            settlement.finish_told(&End {
                status: self.status.as_u16(),
                error_code: None,
                metered,
                response_bytes: self.sent_bytes,
            })
        });
        self.written = Some(Box::pin(async move {
            if let Some(told) = told {
                // In time, late or never: the answer is the client's now.
                let _ = tokio::time::timeout(WRITTEN_WITHIN, told).await;
            }
        }));
    }

    fn end(&mut self, error_code: Option<&'static str>) {
        self.done = true;
        self.alarm = None;
        self.upload = None;
        let metered = self.metered();
        self.note_kept();
        if let Some(settlement) = self.settlement.take() {
            settlement.finish(&End {
                status: self.status.as_u16(),
                error_code,
                metered,
                response_bytes: self.sent_bytes,
            });
        }
    }

    /// Notes what the provider keeps of the answer, before the client has its end and asks for it.
    fn note_kept(&mut self) {
        if let (Some(beginning), Some(settlement)) = (self.beginning.take(), &mut self.settlement) {
            beginning.note(settlement);
        }
    }

    fn metered(&mut self) -> Metered {
        if self.scrubber.removed() > 0
            && let Some(settlement) = &self.settlement
        {
            let request = settlement.request();
            tracing::warn!(request.id = %request, "the provider echoed the provider key in {request}; it was removed");
        }
        self.metered.take().unwrap_or_else(|| {
            let tap = self.tap.take();
            tap.map(|tap| learned(tap, self.answers).0)
                .unwrap_or_default()
        })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.note_kept();
        let Some(settlement) = self.settlement.take() else {
            return;
        };
        // The provider made it, whether or not the client waited for it.
        if let Some(tap) = &mut self.tap {
            tap.push(&self.first);
        }
        let holds = self.holds();
        let parting = Parting {
            tap: self.tap.take(),
            metered: self.metered.take(),
            answers: self.answers,
            settlement,
            sent_bytes: self.sent_bytes,
        };
        match (self.upstream.take(), tokio::runtime::Handle::try_current()) {
            (Some(upstream), Ok(runtime)) if holds => {
                runtime.spawn(parting.read_on(upstream));
            }
            _ => parting.end(),
        }
    }
}
