//! What becomes of an answer, told by its head and the structured code of an error.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use domain::Timestamp;
use domain::key::FailureKind;
use http::{HeaderMap, Response, StatusCode, header};
use llm::failure::{self, is_unknown_model};
use llm::format::FormatId;
use scrub::{Needles, Scrubber};

use super::opening::{self, Opened, Patience};
use super::{
    Answer, Asked, Content, Kind, Missed, Next, Refusal, Restated, is_encoded, kind, raw,
    read_error,
};
use crate::endpoint::{Call, Priced};
use crate::error::Failure;
use crate::headers;
use crate::realtime::{self, REALTIME, Switched};
use crate::upstream::{self, Answering};

/// How the answer to an attempt is judged.
pub(super) struct Judge<'a> {
    pub(super) call: &'static Call,
    /// What the provider speaks.
    pub(super) format: FormatId,
    pub(super) needles: &'a Arc<Needles>,
    pub(super) asked: Asked,
    /// Whether the key is not the caller's.
    pub(super) managed: bool,
    /// How long the beginning may take.
    pub(super) patience: Patience,
    pub(super) now: Timestamp,
}

impl Judge<'_> {
    /// What becomes of an answer with this head.
    pub(super) async fn judge(
        &self,
        response: Response<Answering>,
    ) -> Result<Box<Answer>, Box<Missed>> {
        let Self {
            call,
            format,
            needles,
            asked,
            managed,
            ..
        } = *self;
        let switched = call == &REALTIME && response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if switched {
            return switch(response, needles);
        }
        let (head, mut body) = response.into_parts();
        let status = head.status;
        let missed = |failure, next| {
            Box::new(Missed {
                status: Some(status),
                ..Missed::new(failure, next)
            })
        };
        if status.is_redirection() {
            return Err(missed(Failure::UpstreamRedirect, Next::Told));
        }
        let kind = kind(&head.headers);
        let mut headers = headers::to_client(&head.headers, needles);
        if managed {
            headers::remove_limits(&mut headers);
        }
        if call.is_passed() {
            headers::add_of_files(&mut headers, &head.headers, needles);
        }
        if !status.is_success() {
            let text = match kind {
                Some(Kind::Json) => read_error(body).await,
                _ => None,
            };
            return self.refused(headers, status, text);
        }
        if call == &REALTIME {
            return Err(missed(Failure::UpstreamInvalidResponse, Next::Told));
        }
        let kind = kind.or_else(|| {
            if let Some(media_type) = raw(call, &head.headers, needles)? {
                headers.insert(header::CONTENT_TYPE, media_type);
            }
            Some(Kind::Raw)
        });
        let kind = kind.ok_or_else(|| {
            let failure = match is_encoded(&head.headers) {
                true => Failure::UpstreamEncoded,
                false => Failure::UpstreamInvalidResponse,
            };
            missed(failure, Next::Told)
        })?;
        let opened = match kind {
            // Nobody knows how such an answer begins.
            _ if call.priced == Priced::Unknown => Opened::Begun(Bytes::new()),
            Kind::Raw => Opened::Begun(Bytes::new()),
            Kind::Json => opening::read_body(&mut body, self.patience).await,
            Kind::EventStream => opening::read(format.format(), &mut body, self.patience).await,
        };
        let first = match opened {
            Opened::Begun(first) => first,
            Opened::Refused(status, text) => return self.refused(headers, status, Some(text)),
            Opened::Broken => return Err(missed(Failure::UpstreamBroken, Next::SameKeyOnce)),
            Opened::Silent => return Err(missed(Failure::UpstreamTimedOut, Next::AfterSilence)),
        };
        Ok(Box::new(Answer {
            status,
            headers,
            content: Content::Flowing {
                kind,
                first,
                whole: false,
                body,
                needles: Arc::clone(needles),
                asked,
            },
            translation: None,
            rests_ms: None,
        }))
    }

    /// What becomes of a provider's error, whether its status says so or it stands in the answer's place. `headers`:
    /// those that pass.
    pub(super) fn refused(
        &self,
        mut headers: HeaderMap,
        status: StatusCode,
        text: Option<Bytes>,
    ) -> Result<Box<Answer>, Box<Missed>> {
        let Self {
            format,
            needles,
            managed,
            now,
            ..
        } = *self;
        let retry_after_ms = retry_after_ms(&headers, now)
            .or_else(|| failure::retry_delay_ms(text.as_deref().unwrap_or_default()));
        let retry_after_s = retry_after_ms.map(|millis| millis.saturating_add(999) / 1_000);
        if let Some(seconds) = retry_after_s {
            let told = headers.entry(header::RETRY_AFTER);
            told.or_insert_with(|| seconds.into());
        }
        let missed = |failure, next| Missed {
            status: Some(status),
            ..Missed::new(failure, next)
        };
        let said = said(format, status, text.as_deref().unwrap_or_default());
        let in_its_words = |text: Option<Bytes>| {
            let text = text?;
            let text = Scrubber::whole(needles, &text).unwrap_or(text);
            let refusal = match managed {
                true => Refusal::Restated(Restated::of(status, &text)),
                false => Refusal::Theirs(text),
            };
            Some(Box::new(Answer {
                status,
                headers,
                content: Content::Refusal(refusal),
                translation: None,
                rests_ms: None,
            }))
        };
        let rejected = Failure::UpstreamRejected {
            status,
            retry_after_s,
        };
        let next = Missed {
            said: said.kind,
            denied: said.denied,
            turns_away: said.turns_away,
            retry_after_ms: retry_after_ms.map(|it| u32::try_from(it.max(0)).unwrap_or(u32::MAX)),
            ..missed(Failure::Internal, Next::OtherKey)
        };
        if said.denied {
            let attempts = Vec::new();
            return Err(Box::new(Missed {
                failure: Failure::CredentialsExhausted { attempts },
                ..next
            }));
        }
        let status = status.as_u16();
        match status {
            429 => Err(Box::new(Missed {
                failure: rejected,
                answer: in_its_words(text),
                ..next
            })),
            408 | 500..=599 => Err(Box::new(Missed {
                failure: match status {
                    503 | 529 => Failure::UpstreamUnavailable { status },
                    408 | 504 => Failure::UpstreamTimedOut,
                    _ => Failure::UpstreamBadGateway { status },
                },
                next: Next::SameKeyOnce,
                ..next
            })),
            404 if text
                .as_deref()
                .is_some_and(|it| is_unknown_model(status, it)) =>
            {
                Err(Box::new(Missed {
                    failure: rejected,
                    answer: in_its_words(text),
                    next: Next::OtherModel,
                    ..next
                }))
            }
            400 | 404..=406 | 409..=499 => {
                in_its_words(text).ok_or_else(|| Box::new(missed(rejected, Next::Told)))
            }
            _ => Err(Box::new(missed(
                Failure::UpstreamBadGateway { status },
                Next::Told,
            ))),
        }
    }
}

/// What becomes of an answer that leaves HTTP.
fn switch(
    response: Response<Answering>,
    needles: &Arc<Needles>,
) -> Result<Box<Answer>, Box<Missed>> {
    let status = response.status();
    let invalid = || Missed {
        status: Some(status),
        ..Missed::new(Failure::UpstreamInvalidResponse, Next::Told)
    };
    let accepted = realtime::accepted(response.headers()).ok_or_else(invalid)?;
    let mut headers = headers::to_client(response.headers(), needles);
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accepted);
    Ok(Box::new(Answer {
        status,
        headers,
        content: Content::Switched(Switched {
            upstream: upstream::Switched::of(response),
            needles: Arc::clone(needles),
        }),
        translation: None,
        rests_ms: None,
    }))
}

/// What an error says of the key.
struct Said {
    kind: Option<FailureKind>,
    denied: bool,
    turns_away: bool,
}

fn said(format: FormatId, status: StatusCode, text: &[u8]) -> Said {
    let status = status.as_u16();
    let kind = format.format().upstream_error_kind(status, text);
    let denied = match kind {
        Some(FailureKind::InvalidKey | FailureKind::NoPermission) => true,
        // 429 is worth another try with another key, whatever it says.
        Some(FailureKind::NoQuota) => status != 429,
        _ => matches!(status, 401..=403),
    };
    Said {
        kind: kind.or(denied.then_some(FailureKind::NoPermission)),
        denied,
        turns_away: denied || kind == Some(FailureKind::NoQuota),
    }
}

/// When the provider wants to be asked again: `retry-after-ms`, or `retry-after` in seconds or as a moment, which may
/// be past.
fn retry_after_ms(headers: &HeaderMap, now: Timestamp) -> Option<i64> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let number = |name: &str| -> Option<f64> { text(name)?.parse().ok() };
    let millis = number("retry-after-ms").or_else(|| Some(number("retry-after")? * 1000.0));
    let Some(millis) = millis else {
        let moment = httpdate::parse_http_date(text("retry-after")?).ok()?;
        let since_epoch = moment.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let moment = i64::try_from(since_epoch.as_millis()).ok()?;
        return Some(Timestamp::from_millis(moment).millis_since(now).max(0));
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the cast saturates, and the sleep that follows is bounded"
    )]
    (millis.is_finite() && millis >= 0.0).then_some(millis as i64)
}
