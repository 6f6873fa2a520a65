//! Asks a provider whether it accepts a key, on behalf of the control plane, which cannot open keys.

use std::sync::Arc;
use std::time::Duration;

use domain::key::FailureKind;
use domain::ranking::Pace;
use domain::record::{DataKeyRecord, KeyContext};
use domain::{ProviderKeyId, Sources, Timestamp};
use http::{HeaderMap, HeaderValue, Response};
use llm::failure;
use llm::provider::ProbeRequest;
use llm::registry::Registry;
use tokio::time::Instant;
use vault::{BoxFuture, KeyProbe, Opener, ProbeFailure};

use crate::health::Health;
use crate::pace::{Paces, Place};
use crate::plan::way;
use crate::send::{Kind, kind, read_at_most};
use crate::upstream::{self, Answering, Departure, Outbound, Outgoing, Upstream};

/// The probe, over the same upstream as every call.
pub(crate) struct Prober {
    pub(crate) registry: Arc<Registry>,
    pub(crate) opener: Opener,
    pub(crate) upstream: Upstream,
    pub(crate) paces: Paces,
    pub(crate) health: Health,
    pub(crate) sources: Sources,
    /// How long a probe may take in all.
    pub(crate) within: Duration,
    /// Whether addresses of a private network may be dialed. Then a base URL of one's own could be used to look around
    /// there: how soon nothing came of a probe would tell closed ports from open ones and from those behind a filter.
    pub(crate) reaches_private: bool,
}

/// How long a probe may take in all.
pub(crate) const WITHIN: Duration = Duration::from_secs(20);
/// How much of the answer is read, and thrown away.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

impl KeyProbe for Prober {
    fn probe<'a>(
        &'a self,
        envelope: &'a [u8],
        context: &'a KeyContext,
        data_key: &'a DataKeyRecord,
    ) -> BoxFuture<'a, Result<(), ProbeFailure>> {
        Box::pin(async move {
            let deadline = Instant::now() + self.within;
            let asking = self.ask(envelope, context, data_key, deadline);
            // Opening the key may wait for the KMS; that counts, too.
            let outcome = tokio::time::timeout_at(deadline, asking).await;
            let outcome = outcome.unwrap_or(Err(ProbeFailure::Unreachable));
            if self.hides(context) && outcome == Err(ProbeFailure::Unreachable) {
                tokio::time::sleep_until(deadline).await;
            }
            outcome
        })
    }

    fn sleeping_until(&self, key: ProviderKeyId, version: i64) -> Option<Timestamp> {
        self.health
            .sleeping_until((key, version), self.sources.now())
    }

    fn pace(&self, context: &KeyContext, model: &str) -> Pace {
        // Who asks ranks.
        self.paces.want();
        self.paces.of(&Place::of(context, model))
    }
}

impl Prober {
    /// Whether what is at the key's base URL is nobody's business but a provider's.
    fn hides(&self, context: &KeyContext) -> bool {
        let provider = self.registry.get(&context.provider);
        self.reaches_private && provider.is_none_or(|it| it.base_url != context.base_url)
    }

    async fn ask(
        &self,
        envelope: &[u8],
        context: &KeyContext,
        data_key: &DataKeyRecord,
        deadline: Instant,
    ) -> Result<(), ProbeFailure> {
        let provider = self
            .registry
            .get(&context.provider)
            .ok_or(ProbeFailure::Unreachable)?;
        let Some(request) = provider.probe_request() else {
            return Ok(());
        };
        let rule = request.rule.as_ref();
        // Where the rule of the format has no place for this base URL, nothing can be asked.
        let base = match rule {
            Some(rule) => rule.base(&context.base_url),
            None => Some(context.base_url.as_str()),
        };
        let base = base.ok_or(ProbeFailure::Unreachable)?;
        let url = upstream::url(base, &request.path, None);
        let auth = way::auth_place(provider, rule, &context.auth_header);
        let (url, auth) = url.zip(auth).ok_or(ProbeFailure::Unreadable)?;
        let opened = self.opener.open(envelope, context, data_key).await;
        let key = opened.map_err(|_| ProbeFailure::Unreadable)?;
        let mut headers = HeaderMap::new();
        headers.extend(way::extra_headers(&provider.auth));
        let json = !request.body.is_empty();
        let outgoing = Outgoing {
            pool: (context.key, context.version),
            method: request.method.clone(),
            url: &url,
            headers,
            body: Outbound::whole(request.body.clone()),
            media_type: json.then(|| HeaderValue::from_static("application/json")),
            hops: 0,
            deadline,
            departure: Departure::default(),
        };
        let response = self.upstream.send(outgoing, &auth, key).await;
        let response = response.map_err(|_| ProbeFailure::Unreachable)?;
        judge(&request, response, deadline, self.hides(context)).await
    }
}

/// A success is JSON; a refusal is told by its status and code; anything else is not the provider. `in_json`: a refusal
/// counts as one only in JSON, too.
async fn judge(
    request: &ProbeRequest,
    response: Response<Answering>,
    deadline: Instant,
    in_json: bool,
) -> Result<(), ProbeFailure> {
    let (head, body) = response.into_parts();
    let json = kind(&head.headers) == Some(Kind::Json);
    let read = read_at_most(body, MAX_ANSWER_BYTES, deadline).await;
    let (text, whole) = read.ok_or(ProbeFailure::Unreachable)?;
    if head.status.is_success() {
        let valid = !whole || serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_ok();
        return if json && valid {
            Ok(())
        } else {
            Err(ProbeFailure::Unreachable)
        };
    }
    if in_json && !json {
        return Err(ProbeFailure::Unreachable);
    }
    let status = head.status.as_u16();
    let said = match &request.rule {
        Some(rule) => rule.format.format().upstream_error_kind(status, &text),
        None => failure::classify(status, &text),
    };
    Err(match said {
        Some(FailureKind::Unreachable) | None => ProbeFailure::Unreachable,
        Some(kind) => ProbeFailure::Rejected(kind),
    })
}
