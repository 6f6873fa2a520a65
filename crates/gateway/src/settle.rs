//! What the call leaves behind. Exactly one usage row, however the call ends.
//!
//! A place in the queue of rows is reserved before anything is done for the caller; `Drop` only appends to the
//! spool and sends. One task writes the queue to the store in batches and goes on trying while the store is away;
//! what is too much for memory meanwhile it reads back from the spool. So a slow database refuses nothing, and a
//! process that is killed loses nothing. A single row is given up only if the
//! store refuses it while it takes others; the file that has it is kept.

use std::sync::Arc;
use std::time::Duration;

use domain::key::FailureKind;
use domain::policy::KeySource;
use domain::{NanoUsd, ProviderKeyId, RequestId, Sources};
use http::StatusCode;
use llm::format::{Ceiling, Metered, Transcripts};
use store::{AttemptRow, UsageRow};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::bill::Bill;
use crate::calls::{Calls, Running};
use crate::error::Failure;
use crate::headers::Aim;
use crate::health::KeyVersion;
use crate::pace::{Lap, Paces, Place};
use crate::plan::way::Way;
use crate::upload::Received;
use crate::upstream::Departure;

mod marks;
mod queue;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use queue::{Books, Message, Queue};
pub(crate) use writer::{recover, write};

/// What is written of one call.
#[derive(Clone)]
pub(crate) struct Settled {
    pub(crate) row: UsageRow,
    /// The provider key that served.
    pub(crate) used: Option<ProviderKeyId>,
    /// The keys that a provider did not accept, and what it said.
    pub(crate) failed: Vec<(KeyVersion, FailureKind)>,
}

/// A call's place in the queue. Dropping it settles the call as given up by the client.
///
/// `None` once it is settled, when nobody holds it any more. It goes from step to step, so it is small.
pub(crate) struct Settlement(Option<Box<Open>>);

/// What is known of a call that is not settled.
struct Open {
    place: mpsc::OwnedPermit<Message>,
    books: Books,
    settled: Box<Settled>,
    /// What the call costs as it is served now.
    bill: Option<Arc<Bill>>,
    started_at: Instant,
    /// How many bytes the input is estimated by, of the body that the provider is sent; it may be written in another
    /// format than the client's.
    sent_bytes: Option<u64>,
    /// How much of the body has come, if it flows.
    received: Option<Received>,
    /// The attempts that run, by the slots of their [`Flight`]s.
    under_way: [Option<UnderWay>; 2],
    /// Whether a platform key's provider got the request and did not refuse it.
    at_work: bool,
    /// What was read of the last attempt's answer, which the client was not told.
    read: Metered,
    /// The most that the call can have used, where credits pay.
    ceiling: Option<Ceiling>,
    /// Tells at its end how quick the provider is; `None`: nobody wants to know.
    lap: Option<Box<Lap>>,
    /// For how long the client took nothing of the answer.
    waited: Duration,
    sources: Sources,
    /// Its place among the calls of its API key, for as long as it runs.
    running: Option<Running>,
}

/// An attempt that runs. It ends once.
pub(crate) struct Flight {
    slot: usize,
    departure: Departure,
}

impl Flight {
    /// Whether its request has left; whoever sends it notes that.
    pub(crate) fn departure(&self) -> &Departure {
        &self.departure
    }
}

/// What is known of an attempt that runs.
struct UnderWay {
    /// Its place among the attempts.
    place: usize,
    begun_at: Instant,
    /// Whether its request has left; `None` where credits do not pay, and that is nobody's business.
    departure: Option<Departure>,
}

/// Who is to serve a call, and what that costs.
pub(crate) struct Aimed<'a> {
    pub(crate) way: &'a Way,
    /// Because own keys failed.
    pub(crate) fallback: bool,
    pub(crate) bill: &'a Arc<Bill>,
    /// By how many bytes the input is estimated of what they will be sent.
    pub(crate) sent_bytes: u64,
    /// The most that the call can use, where credits pay.
    pub(crate) ceiling: Option<Ceiling>,
}

impl Aimed<'_> {
    /// Writes who is to serve to the row of a call.
    pub(crate) fn write(&self, row: &mut UsageRow) {
        let way = self.way;
        row.provider = Some(way.target.provider.clone());
        row.model = Some(way.target.model.clone()).filter(|model| !model.is_empty());
        row.key_source = Some(way.target.source);
        row.key = Some(way.target.key);
        row.key_label = way.own_label();
        row.key_scope = Some(way.key_scope);
        row.fallback = self.fallback && way.is_managed();
        row.upstream_status = None;
    }
}

/// How a call ended that was answered.
pub(crate) struct End {
    pub(crate) status: u16,
    pub(crate) error_code: Option<&'static str>,
    pub(crate) metered: Metered,
    pub(crate) response_bytes: u64,
}

/// The status of a row whose client went away; no client sees it.
const CLIENT_CLOSED: u16 = 499;
const CLIENT_GONE: &str = "client_closed";
/// What becomes of an attempt that another one was faster than.
const CANCELLED: &str = "cancelled";

impl Settlement {
    fn open(&self) -> &Open {
        self.0.as_deref().expect("it is settled by its last holder")
    }

    fn open_mut(&mut self) -> &mut Open {
        self.0
            .as_deref_mut()
            .expect("it is settled by its last holder")
    }

    fn row_mut(&mut self) -> &mut UsageRow {
        &mut self.open_mut().settled.row
    }

    /// Counts the call among those of its API key. A refusal is settled.
    pub(crate) fn counted(mut self, calls: &Calls) -> Result<Self, Failure> {
        match calls.begin(self.row().api_key) {
            Ok(running) => {
                self.open_mut().running = Some(running);
                Ok(self)
            }
            Err(failure) => Err(self.refuse(failure)),
        }
    }

    /// When the request's head was there.
    pub(crate) fn started_at(&self) -> Instant {
        self.open().started_at
    }

    /// The call's id.
    pub(crate) fn request(&self) -> RequestId {
        self.open().settled.row.request
    }

    /// The request was read.
    pub(crate) fn requested(&mut self, body_bytes: usize, stream: bool) {
        let row = self.row_mut();
        row.request_bytes = saturated(body_bytes as u64);
        row.streamed = stream;
    }

    /// The body flows: how long it is, its end will tell.
    pub(crate) fn flows(&mut self, received: Received) {
        self.open_mut().received = Some(received);
    }

    /// The call is refused, and the registry knows what it was meant for.
    pub(crate) fn aimed(&mut self, aim: Aim) {
        let row = self.row_mut();
        row.model_requested = aim.requested.unwrap_or_default();
        row.provider = Some(aim.provider);
        row.model = aim.model;
    }

    /// The row as it is now.
    pub(crate) fn row(&self) -> &UsageRow {
        &self.open().settled.row
    }

    /// The model is known. Only now: a text that names no model may be anything, a credential too.
    pub(crate) fn requested_model(&mut self, model: &str) {
        model.clone_into(&mut self.row_mut().model_requested);
    }

    /// Who is to serve.
    pub(crate) fn aims_at(&mut self, aimed: &Aimed<'_>) {
        let open = self.open_mut();
        aimed.write(&mut open.settled.row);
        open.bill = Some(Arc::clone(aimed.bill));
        open.sent_bytes = Some(aimed.sent_bytes);
        open.ceiling = aimed.ceiling;
    }

    /// An attempt begins. Two may run at once.
    pub(crate) fn begins(&mut self, way: &Way) -> Flight {
        let open = self.open_mut();
        let slot = usize::from(open.under_way[0].is_some());
        let departure = Departure::default();
        let attempts = &mut open.settled.row.attempts;
        open.under_way[slot] = Some(UnderWay {
            place: attempts.len(),
            begun_at: Instant::now(),
            departure: way.is_managed().then(|| departure.clone()),
        });
        // There is one as a rule, and a stream keeps it for as long as it is open.
        attempts.reserve_exact(1);
        // Stands if the client goes away before the attempt ends.
        attempts.push(begun(way, CLIENT_GONE));
        Flight { slot, departure }
    }

    /// The head of an answer for the client is there.
    pub(crate) fn answered(&mut self, flight: Flight, status: StatusCode) {
        let outcome = if serves(status) {
            let settled = &mut self.open_mut().settled;
            settled.used = settled.row.key;
            "ok"
        } else {
            "upstream_rejected"
        };
        self.attempted(flight, Some(status), outcome);
    }

    /// The answer to an attempt, which [`answered`](Self::answered) is told of next, tells how quick this place is.
    pub(crate) fn paced(&mut self, flight: &Flight, paces: &Paces, place: Place, is_stream: bool) {
        let open = self.open_mut();
        if let Some(under_way) = &open.under_way[flight.slot] {
            let lap = paces.answered(place, under_way.begun_at, is_stream);
            open.lap = Some(Box::new(lap));
        }
    }

    /// Whether the end of the answer tells how quick its provider is.
    pub(crate) fn is_paced(&self) -> bool {
        self.open().lap.is_some()
    }

    /// The client took nothing of the answer for so long.
    pub(crate) fn waited(&mut self, waited: Duration) {
        self.open_mut().waited += waited;
    }

    /// The attempt gave the client nothing; `outcome` says why.
    pub(crate) fn attempted(&mut self, flight: Flight, status: Option<StatusCode>, outcome: &str) {
        let refused = status.is_some_and(|status| !serves(status));
        let open = self.open_mut();
        let Some(ended) = open.under_way[flight.slot].take() else {
            return;
        };
        open.at_work |= !refused && ended.departure.is_some_and(|it| it.has_left());
        let row = &mut open.settled.row;
        let status = status.map(|status| i64::from(status.as_u16()));
        row.upstream_status = status;
        if status.is_some() {
            row.first_byte_ms = Some(millis(open.started_at));
        }
        if let Some(attempt) = row.attempts.get_mut(ended.place) {
            attempt.status = status;
            outcome.clone_into(&mut attempt.outcome);
            attempt.latency_ms = millis(ended.begun_at);
        }
    }

    /// The attempt is given up: the one that ran beside it won. `cost`: what its provider may ask for all the same.
    pub(crate) fn cancelled(&mut self, flight: Flight, cost: Option<NanoUsd>) {
        let open = self.open_mut();
        let Some(ended) = open.under_way[flight.slot].take() else {
            return;
        };
        if let Some(attempt) = open.settled.row.attempts.get_mut(ended.place) {
            CANCELLED.clone_into(&mut attempt.outcome);
            attempt.latency_ms = millis(ended.begun_at);
            attempt.cost = cost;
        }
    }

    /// What was read of an answer that the client is not told. The attempt before counts no more.
    pub(crate) fn read(&mut self, metered: Metered) {
        self.open_mut().read = metered;
    }

    /// The provider keeps something that the call made, under this id.
    pub(crate) fn made(&mut self, id: String) {
        self.row_mut().made.push(id);
    }

    /// The provider did not accept a key.
    pub(crate) fn key_failed(&mut self, key: KeyVersion, kind: FailureKind) {
        self.open_mut().settled.failed.push((key, kind));
    }

    /// Whether the answer is a stream after all.
    pub(crate) fn streamed(&mut self, streamed: bool) {
        self.row_mut().streamed = streamed;
    }

    /// Settles a call that is not served, and hands the failure on. What a model made of it counts all the same.
    pub(crate) fn refuse(mut self, failure: Failure) -> Failure {
        let end = End {
            status: failure.status().as_u16(),
            error_code: Some(failure.code()),
            metered: self.open().read,
            response_bytes: 0,
        };
        self.close(&end, &[], None);
        failure
    }

    /// Settles a call that was answered.
    pub(crate) fn finish(mut self, end: &End) {
        self.close(end, &[], None);
    }

    /// Settles a realtime session. `transcripts`: what other models did in it.
    pub(crate) fn finish_session(mut self, end: &End, transcripts: &[Transcripts]) {
        self.close(end, transcripts, None);
    }

    /// As [`finish`](Self::finish). The channel tells when the row is written, or closes if it never will be.
    pub(crate) fn finish_told(mut self, end: &End) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        self.close(end, &[], Some(tell));
        told
    }

    /// Whether credits pay for the call.
    pub(crate) fn is_managed(&self) -> bool {
        self.open().is_managed()
    }

    /// What the call costs at list price if that is known for sure: it is free, or all of its answer was `metered`.
    pub(crate) fn known_cost(&self, metered: Option<&Metered>) -> Option<NanoUsd> {
        let open = self.open();
        let believed = metered.filter(|metered| {
            let ceiling = open.ceiling.filter(|_| open.is_managed());
            ceiling.is_none_or(|ceiling| metered.within(&ceiling) == **metered)
        });
        let usage = believed.and_then(|metered| metered.usage(open.sent_bytes()));
        let reported = usage.filter(|(_, estimated)| !estimated);
        let terms = metered.map(|metered| &metered.terms);
        let usage = reported.as_ref().map(|(usage, _)| usage);
        open.bill.as_ref()?.known_cost(usage.zip(terms))
    }

    /// Settles a call whose client went away in the middle of the answer.
    pub(crate) fn abandon(mut self, metered: Metered, response_bytes: u64) {
        self.close(&given_up(metered, response_bytes), &[], None);
    }

    fn close(&mut self, end: &End, transcripts: &[Transcripts], tell: Option<oneshot::Sender<()>>) {
        if let Some(open) = self.0.take() {
            open.close(end, transcripts, tell);
        }
    }
}

impl Open {
    fn close(mut self, end: &End, transcripts: &[Transcripts], tell: Option<oneshot::Sender<()>>) {
        let metered = self.believed(end.metered);
        let input_only = self.owes_input(end);
        if let Some(received) = &self.received {
            self.settled.row.request_bytes = saturated(received.bytes());
        }
        let bytes = self.sent_bytes();
        let row = &mut self.settled.row;
        row.at = self.sources.now();
        row.status = i64::from(end.status);
        row.error_code = end.error_code.map(str::to_owned);
        // Nobody pays for a refusal.
        let usage = metered
            .usage(bytes)
            .or_else(|| input_only.then(|| (Metered::input_only(bytes), true)));
        if let (Some(lap), Some((usage, false)), None) = (self.lap.take(), &usage, end.error_code) {
            lap.ends(usage, self.waited);
        }
        if let Some(bill) = self.bill.take() {
            match usage {
                _ if bill.is_by_picture() && end.error_code.is_some() => {}
                Some((usage, estimated)) => bill.write(row, usage, &metered.terms, estimated),
                None if end.error_code.is_none() && transcripts.is_empty() => {
                    bill.write_unknown(row);
                }
                None => {}
            }
            for transcripts in transcripts {
                bill.add(row, transcripts);
            }
        }
        row.response_bytes = saturated(end.response_bytes);
        row.latency_ms = millis(self.started_at);
        // The row says it all, and a line for each call costs more than anything else that is done for it here.
        tracing::debug!(
            request.id = %row.request,
            status = end.status,
            error.code = end.error_code.unwrap_or("none"),
            workspace.id = %row.workspace,
            provider = row.provider.as_ref().map_or("none", |provider| provider.as_str()),
            latency_ms = row.latency_ms,
            "served {} with status {}", row.request, end.status
        );
        let Self {
            place,
            books,
            settled,
            ..
        } = self;
        books.keep(place, settled, tell);
    }

    fn sent_bytes(&self) -> u64 {
        if let Some(received) = &self.received {
            return received.bytes();
        }
        let of_client = self.settled.row.request_bytes.unsigned_abs();
        self.sent_bytes.unwrap_or(of_client)
    }

    fn is_managed(&self) -> bool {
        self.settled.row.key_source == Some(KeySource::Managed)
    }

    /// What was metered, without a report that cannot be true where credits are taken by it.
    fn believed(&self, metered: Metered) -> Metered {
        let Some(ceiling) = self.ceiling.filter(|_| self.is_managed()) else {
            return metered;
        };
        let believed = metered.within(&ceiling);
        if believed != metered {
            let row = &self.settled.row;
            tracing::warn!(
                request.id = %row.request,
                provider = row.provider.as_ref().map_or("none", |provider| provider.as_str()),
                "the provider reported more tokens than {} can have used; its usage is estimated", row.request
            );
        }
        believed
    }

    /// Whether the provider is paid for the input of a call that credits pay for, although nothing came of it.
    fn owes_input(&self, end: &End) -> bool {
        let mut under_way = self.under_way.iter().flatten();
        let departed = under_way.any(|it| it.departure.as_ref().is_some_and(Departure::has_left));
        let failed = end.error_code.is_some() && !end.metered.refused;
        self.is_managed() && failed && (self.at_work || departed)
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        let mut end = given_up(Metered::default(), 0);
        if std::thread::panicking() {
            end.status = StatusCode::INTERNAL_SERVER_ERROR.as_u16();
            end.error_code = Some(Failure::Internal.code());
        }
        self.close(&end, &[], None);
    }
}

/// An attempt of which only the outcome is known.
pub(crate) fn begun(way: &Way, outcome: &str) -> AttemptRow {
    AttemptRow {
        provider: way.target.provider.clone(),
        model: way.target.model.clone(),
        key: Some(way.target.key),
        label: way.own_label(),
        key_source: way.target.source,
        status: None,
        outcome: outcome.to_owned(),
        latency_ms: 0,
        key_scope: Some(way.key_scope),
        cost: None,
    }
}

/// Whether a provider serves that answers so.
fn serves(status: StatusCode) -> bool {
    status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS
}

fn given_up(metered: Metered, response_bytes: u64) -> End {
    End {
        status: CLIENT_CLOSED,
        error_code: Some(CLIENT_GONE),
        metered,
        response_bytes,
    }
}

fn millis(since: Instant) -> i64 {
    i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX)
}

fn saturated(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
