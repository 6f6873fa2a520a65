//! What happens in a workspace, as it happens: for pages that stay open.
//!
//! A task for each listener asks the store once a second, so that it is the same whichever process of an instance did
//! something; and it asks first whether the listener may still listen.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use bytes::Bytes;
use domain::access::{Action, ApiScope};
use domain::{RequestId, Timestamp, UserId, WorkspaceId};
use http::HeaderMap;
use http::request::Parts;
use store::{NewsPlace, PageRequest, UsageFilter, UsageRow, WorkspaceScope};
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::auth::principal::Caller;
use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::ops::labels::LabelSight;
use crate::state::ControlState;

/// How often the store is asked.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The longest silence.
const BEAT_EVERY: Duration = Duration::from_secs(15);
/// After this time a stream ends; its listener comes back by itself.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// A listener that reads nothing for so long is gone.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// Calls are written some moments after they end, and not in the order in which they end.
const LATE_MS: i64 = 15_000;
/// The most calls that are told of at one look.
const MOST_CALLS: u32 = 100;
/// How many streams a process has, and how many of one person.
const MOST_STREAMS: usize = 512;
const MOST_STREAMS_OF_PERSON: usize = 12;
/// How many pieces wait for a listener.
pub(crate) const WAITING_PIECES: usize = 16;

/// The streams that a process has.
#[derive(Default)]
pub(crate) struct Streams(Arc<Mutex<HashMap<UserId, usize>>>);

/// A place among them, given back at the end.
pub(crate) struct Stream {
    streams: Arc<Mutex<HashMap<UserId, usize>>>,
    user: UserId,
}

impl Streams {
    /// Takes a place.
    ///
    /// # Errors
    /// `too_many_streams`.
    pub(crate) fn begin(&self, user: UserId) -> Result<Stream, Problem> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = open.get(&user).copied().unwrap_or(0);
        if own >= MOST_STREAMS_OF_PERSON || open.values().sum::<usize>() >= MOST_STREAMS {
            return Err(Problem::new(Code::TooManyStreams).retry_after_s(30));
        }
        open.insert(user, own + 1);
        Ok(Stream {
            streams: Arc::clone(&self.0),
            user,
        })
    }
}

impl Streams {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.values().sum()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut open = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = open.get_mut(&self.user) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.user);
            }
        }
    }
}

/// Up to where a listener has heard. As text it is the id of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heard {
    news: NewsPlace,
    calls: Timestamp,
}

impl std::fmt::Display for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let NewsPlace { audit, revision } = self.news;
        write!(f, "{audit}-{revision}-{}", self.calls.millis())
    }
}

impl FromStr for Heard {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers = text.splitn(3, '-').map(|part| part.parse::<i64>().ok());
        let mut next = || numbers.next().flatten().filter(|it| *it >= 0).ok_or(());
        let (audit, revision, calls) = (next()?, next()?, next()?);
        Ok(Self {
            news: NewsPlace { audit, revision },
            calls: Timestamp::from_millis(calls),
        })
    }
}

/// How a call is shown.
type View = fn(UsageRow, LabelSight) -> serde_json::Value;

/// Somebody who listens to a workspace.
pub(crate) struct Listener {
    state: ControlState,
    /// What the request showed; asked for anew each time.
    headers: HeaderMap,
    workspace: WorkspaceId,
    heard: Heard,
    /// The calls that were told of and may be read again.
    told: BTreeMap<RequestId, Timestamp>,
    view: View,
    _stream: Stream,
}

/// What a listener may hear now.
struct Ears {
    scope: WorkspaceScope,
    /// Whether calls, too.
    calls: bool,
}

/// Why a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The log-in or the API key is not valid any more.
    LoggedOut,
    /// The membership, the role or the workspace is gone.
    NoAccess,
    /// The listener is gone.
    Gone,
}

impl Listener {
    /// Begins behind what was heard before, or now.
    ///
    /// # Errors
    /// `unavailable`; `too_many_streams`.
    pub(crate) async fn new(
        state: ControlState,
        scope: &WorkspaceScope,
        headers: HeaderMap,
        before: Option<Heard>,
        view: View,
    ) -> Result<Self, Problem> {
        let stream = state.streams.begin(scope.user())?;
        let heard = match before {
            Some(heard) => heard,
            None => Heard {
                news: state.store.within(scope).news_end().await?,
                calls: state.sources.now(),
            },
        };
        Ok(Self {
            headers,
            workspace: scope.workspace(),
            heard,
            told: BTreeMap::new(),
            view,
            _stream: stream,
            state,
        })
    }

    /// Tells `out` what happens until one of both ends.
    pub(crate) async fn run(mut self, out: Sender<Bytes>) {
        let mut stopping = self.state.stopping.subscribe();
        let ends_at = Instant::now() + LONGEST;
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent_since = Instant::now();
        let hello = "retry: 2000\n\n";
        if !say(&out, hello.to_owned()).await {
            return;
        }
        loop {
            tokio::select! {
                stopped = stopping.wait_for(|stop| *stop) => {
                    drop(stopped);
                    return;
                }
                () = out.closed() => return,
                _ = looks.tick() => {}
            }
            if Instant::now() >= ends_at {
                return;
            }
            match self.look(&out).await {
                Ok(true) => silent_since = Instant::now(),
                Ok(false) if silent_since.elapsed() >= BEAT_EVERY => {
                    silent_since = Instant::now();
                    if !say(&out, ":\n\n".to_owned()).await {
                        return;
                    }
                }
                Ok(false) => {}
                Err(End::Gone) => return,
                Err(end) => {
                    let why = match end {
                        End::LoggedOut => "logged_out",
                        _ => "no_access",
                    };
                    let data = serde_json::json!({ "reason": why });
                    say(&out, event("end", None, &data)).await;
                    return;
                }
            }
        }
    }

    /// Tells what is new. Whether there was something.
    async fn look(&mut self, out: &Sender<Bytes>) -> Result<bool, End> {
        // While the store is away nothing is told; what happens meanwhile is told later.
        let Some(ears) = self.ears().await? else {
            return Ok(false);
        };
        let mut topics: Vec<&str> = Vec::new();
        let within = self.state.store.within(&ears.scope);
        let Ok(news) = within.news(self.heard.news).await else {
            return Ok(false);
        };
        let (mut calls, mut more) = (Vec::new(), false);
        if ears.calls {
            let filter = UsageFilter {
                from: Some(self.heard.calls.plus_millis(-LATE_MS)),
                ..UsageFilter::default()
            };
            let page = PageRequest {
                limit: MOST_CALLS,
                after: None,
            };
            let Ok(page) = within.usage(filter, &page).await else {
                return Ok(false);
            };
            more = page.next.is_some()
                && page
                    .items
                    .last()
                    .is_some_and(|row| !self.told.contains_key(&row.request));
            let new = |row: &UsageRow| !self.told.contains_key(&row.request);
            let rows: Vec<UsageRow> = page.items.into_iter().filter(new).collect();
            if !rows.is_empty() {
                let Ok(sight) = LabelSight::of(&self.state, &ears.scope).await else {
                    return Ok(false);
                };
                let tell = |row: UsageRow| (row.request, row.at, (self.view)(row, sight));
                calls = rows.into_iter().map(tell).collect();
            }
        }
        self.heard.news = news.place;
        topics.extend(news.actions.iter().filter_map(|action| topic(action)));
        if news.more {
            topics.push("workspace");
        }
        if news.instance {
            topics.push("instance");
        }
        if news.account {
            topics.push("account");
        }
        if more {
            topics.push("usage");
        }
        topics.sort_unstable();
        topics.dedup();
        let is_new = !topics.is_empty() || !calls.is_empty();
        for (request, at, call) in calls.into_iter().rev() {
            self.heard.calls = self.heard.calls.max(at);
            self.told.insert(request, at);
            let event = event("usage", Some(self.heard), &call);
            if !say(out, event).await {
                return Err(End::Gone);
            }
        }
        if !topics.is_empty() {
            let data = serde_json::json!({ "topics": topics });
            if !say(out, event("change", Some(self.heard), &data)).await {
                return Err(End::Gone);
            }
        }
        let read_again_from = self.heard.calls.plus_millis(-LATE_MS);
        self.told.retain(|_, at| *at >= read_again_from);
        Ok(is_new)
    }

    /// Whether the listener may still listen, and to what. `None`: the store does not say.
    async fn ears(&self) -> Result<Option<Ears>, End> {
        let ears = async {
            let scope = authorized_anew(
                &self.state,
                &self.headers,
                self.workspace,
                Action::ReadWorkspace,
            )
            .await?;
            // What one can give to an API key is what one may do.
            let calls = scope.grantable().contains(&ApiScope::UsageRead);
            Ok::<_, Problem>(Ears { scope, calls })
        };
        match ears.await {
            Ok(ears) => Ok(Some(ears)),
            Err(problem) => match problem.code() {
                Code::AuthenticationRequired | Code::AmbiguousCredentials => Err(End::LoggedOut),
                Code::NotFound | Code::PermissionDenied => Err(End::NoAccess),
                _ => Ok(None),
            },
        }
    }
}

/// Whether whoever sent a request with these headers may still do this, at this moment: a stream lasts longer than a right.
///
/// # Errors
/// As an operation of the workspace that needs `action`.
pub(crate) async fn authorized_anew(
    state: &ControlState,
    headers: &HeaderMap,
    workspace: WorkspaceId,
    action: Action,
) -> Result<WorkspaceScope, Problem> {
    let Caller(principal) = Caller::from_request_parts(&mut parts(state, headers), state).await?;
    let scope = state
        .store
        .authorize_workspace(&principal, workspace, action)
        .await?;
    Ok(scope)
}

/// A request once more, at this moment.
fn parts(state: &ControlState, headers: &HeaderMap) -> Parts {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.headers = headers.clone();
    parts.extensions.insert(Call {
        request: RequestId::from_bytes([0; 16]),
        now: state.sources.now(),
        peer: None,
        client: None,
    });
    parts
}

/// What somebody who shows a workspace would read again after this action.
fn topic(action: &str) -> Option<&'static str> {
    let sort = action.split('.').next().unwrap_or_default();
    Some(match sort {
        "provider_key" => "provider_keys",
        "api_key" => "api_keys",
        "policy" | "ai_config" => "policy",
        "member" | "invitation" => "members",
        "run" => "runs",
        // A page's own key is nothing to show.
        "playground_key" => return None,
        _ => "workspace",
    })
}

/// One event of a stream (WHATWG HTML, 9.2.6). JSON has no line breaks.
fn event(name: &str, id: Option<Heard>, data: &serde_json::Value) -> String {
    let id = id.map_or(String::new(), |id| format!("id: {id}\n"));
    format!("event: {name}\n{id}data: {data}\n\n")
}

/// Whether the listener took it.
async fn say(out: &Sender<Bytes>, text: String) -> bool {
    out.send_timeout(Bytes::from(text), READ_WITHIN)
        .await
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_events_id_reads_back_and_nothing_else_does() {
        let heard = Heard {
            news: NewsPlace {
                audit: 7,
                revision: 12,
            },
            calls: Timestamp::from_millis(1_800_000_000_123),
        };
        assert_eq!(heard.to_string().parse(), Ok(heard));
        for wrong in ["", "7", "7-12", "7-12-x", "7--12-3", "7-12-3-4", " 7-12-3"] {
            assert_eq!(wrong.parse::<Heard>(), Err(()), "{wrong}");
        }
    }

    #[test]
    fn what_is_done_to_a_thing_is_told_as_its_topic() {
        for (action, told) in [
            ("provider_key.set_order", Some("provider_keys")),
            ("invitation.accept", Some("members")),
            ("run.create", Some("runs")),
            ("workspace.update", Some("workspace")),
            ("playground_key.create", None),
        ] {
            assert_eq!(topic(action), told, "{action}");
        }
    }

    #[test]
    fn a_person_has_so_many_streams_and_gives_them_back() {
        let streams = Streams::default();
        let user = UserId::from_bytes([1; 16]);
        let mut open: Vec<Stream> = (0..MOST_STREAMS_OF_PERSON)
            .map(|_| streams.begin(user).expect("a place"))
            .collect();
        let refused = streams.begin(user).err().expect("none");
        assert_eq!(refused.code(), Code::TooManyStreams);
        assert!(streams.begin(UserId::from_bytes([2; 16])).is_ok());
        open.pop();
        assert!(streams.begin(user).is_ok());
        drop(open);
        assert!(streams.0.lock().expect("whole").is_empty());
    }
}
