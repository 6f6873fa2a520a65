//! A usage row as the database has it, and as a hold keeps it for the case that its node dies.

use domain::{NanoUsd, Timestamp, Usage};
use serde::{Deserialize, Serialize};

use super::{AttemptRow, GroupId, UsageRow};
use crate::error::{Place, StoreError};
use crate::statement::Statement;

/// Every column of a call and of its group.
#[derive(sqlx::FromRow, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(super) request_id: String,
    pub(super) at: i64,
    pub(super) account_id: String,
    pub(super) workspace_id: String,
    pub(super) api_key_id: String,
    pub(super) user_id: String,
    pub(super) wire_format: String,
    pub(super) operation: String,
    pub(super) model_requested: String,
    pub(super) provider: Option<String>,
    pub(super) model: Option<String>,
    pub(super) key_source: Option<String>,
    pub(super) provider_key_id: Option<String>,
    pub(super) key_label: Option<String>,
    pub(super) status: i64,
    pub(super) error_code: Option<String>,
    pub(super) streamed: i64,
    pub(super) input_tokens: Option<i64>,
    pub(super) cached_input_tokens: Option<i64>,
    pub(super) cache_write_tokens: Option<i64>,
    pub(super) output_tokens: Option<i64>,
    pub(super) reasoning_tokens: Option<i64>,
    pub(super) latency_ms: i64,
    pub(super) first_byte_ms: Option<i64>,
    pub(super) request_bytes: i64,
    pub(super) response_bytes: i64,
    pub(super) upstream_status: Option<i64>,
    pub(super) cost: Option<i64>,
    pub(super) pricing: Option<String>,
    pub(super) catalog_version: Option<String>,
    pub(super) charge: i64,
    pub(super) attempts: String,
    pub(super) fallback: i64,
    // Holds that an earlier version made do not say it.
    #[serde(default)]
    pub(super) key_scope: Option<String>,
}

impl UsageRow {
    /// Binds every column of a call, in the order of the columns.
    pub(super) fn bind(&self, group: GroupId, statement: Statement) -> Statement {
        let tokens = |count: fn(&Usage) -> u64| self.usage.as_ref().map(|it| tokens(count(it)));
        statement
            .bind(self.request)
            .bind(self.at)
            .bind(self.workspace)
            .bind(group.0)
            .bind(self.status)
            .bind(self.error_code.as_deref())
            .bind(self.streamed)
            .bind(tokens(|usage| usage.input_tokens))
            .bind(tokens(|usage| usage.cached_input_tokens))
            .bind(tokens(|usage| usage.cache_write_tokens))
            .bind(tokens(|usage| usage.output_tokens))
            .bind(tokens(|usage| usage.reasoning_tokens))
            .bind(self.latency_ms)
            .bind(self.first_byte_ms)
            .bind(self.request_bytes)
            .bind(self.response_bytes)
            .bind(self.upstream_status)
            .bind(self.cost.map(NanoUsd::nanos))
            .bind(self.charge.nanos())
            .bind(&attempts(self))
            .bind(self.fallback)
    }
}

fn tokens(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The attempts of a row as JSON. Of a call that was served at once the rest of the row and its group say everything but
/// how long the attempt took, so that number stands for it: the list would be most of what a call leaves behind.
fn attempts(row: &UsageRow) -> String {
    match &row.attempts[..] {
        [only] if says_all_of(row, only) => only.latency_ms.to_string(),
        attempts => serde_json::to_string(attempts).expect("a list of texts and numbers is JSON"),
    }
}

/// Whether the attempt is [`served_at_once`], without writing that down for each call.
fn says_all_of(row: &UsageRow, attempt: &AttemptRow) -> bool {
    let AttemptRow {
        provider,
        model,
        key,
        label,
        key_source,
        status,
        outcome,
        latency_ms: _,
        key_scope,
        cost,
    } = attempt;
    row.provider.as_ref() == Some(provider)
        && row.model.as_deref().unwrap_or_default() == model
        && row.key == *key
        && row.key_label == *label
        && row.key_source == Some(*key_source)
        && row.upstream_status == *status
        && outcome == AT_ONCE
        && row.key_scope == *key_scope
        && cost.is_none()
}

/// How the attempt ends that serves a call.
const AT_ONCE: &str = "ok";

/// The only attempt of a call that was served by it; `None`: no call can have been served so.
fn served_at_once(row: &UsageRow, latency_ms: i64) -> Option<AttemptRow> {
    Some(AttemptRow {
        provider: row.provider.clone()?,
        model: row.model.clone().unwrap_or_default(),
        key: row.key,
        label: row.key_label.clone(),
        key_source: row.key_source?,
        status: row.upstream_status,
        outcome: AT_ONCE.to_owned(),
        latency_ms,
        key_scope: row.key_scope,
        cost: None,
    })
}

/// What [`attempts`] wrote.
#[derive(Deserialize)]
#[serde(untagged)]
enum Attempts {
    AtOnce(i64),
    Listed(Vec<AttemptRow>),
}

impl Stored {
    /// The row's columns.
    pub(crate) fn of(row: &UsageRow) -> Self {
        let tokens = |count: fn(&Usage) -> u64| row.usage.as_ref().map(|it| tokens(count(it)));
        Self {
            request_id: row.request.to_string(),
            at: row.at.millis(),
            account_id: row.account.to_string(),
            workspace_id: row.workspace.to_string(),
            api_key_id: row.api_key.to_string(),
            user_id: row.user.to_string(),
            wire_format: row.wire_format.clone(),
            operation: row.operation.clone(),
            model_requested: row.model_requested.clone(),
            provider: row.provider.as_ref().map(ToString::to_string),
            model: row.model.clone(),
            key_source: row.key_source.map(|source| source.as_str().to_owned()),
            provider_key_id: row.key.map(|key| key.to_string()),
            key_label: row.key_label.as_ref().map(ToString::to_string),
            status: row.status,
            error_code: row.error_code.clone(),
            streamed: i64::from(row.streamed),
            input_tokens: tokens(|usage| usage.input_tokens),
            cached_input_tokens: tokens(|usage| usage.cached_input_tokens),
            cache_write_tokens: tokens(|usage| usage.cache_write_tokens),
            output_tokens: tokens(|usage| usage.output_tokens),
            reasoning_tokens: tokens(|usage| usage.reasoning_tokens),
            latency_ms: row.latency_ms,
            first_byte_ms: row.first_byte_ms,
            request_bytes: row.request_bytes,
            response_bytes: row.response_bytes,
            upstream_status: row.upstream_status,
            cost: row.cost.map(NanoUsd::nanos),
            pricing: row.pricing.map(|pricing| pricing.as_str().to_owned()),
            catalog_version: row.catalog_version.clone(),
            charge: row.charge.nanos(),
            attempts: attempts(row),
            fallback: i64::from(row.fallback),
            key_scope: row.key_scope.map(|scope| scope.as_str().to_owned()),
        }
    }

    /// The row.
    pub(crate) fn read(self) -> Result<UsageRow, StoreError> {
        let place = Place {
            table: "usage",
            id: &self.request_id,
        };
        let count = |tokens: Option<i64>| u64::try_from(tokens.unwrap_or(0)).unwrap_or(0);
        let usage = self.input_tokens.map(|_| Usage {
            input_tokens: count(self.input_tokens),
            cached_input_tokens: count(self.cached_input_tokens),
            cache_write_tokens: count(self.cache_write_tokens),
            output_tokens: count(self.output_tokens),
            reasoning_tokens: count(self.reasoning_tokens),
        });
        let attempts: Attempts =
            serde_json::from_str(&self.attempts).map_err(|_| place.corrupt("attempts"))?;
        let mut row = UsageRow {
            request: place.parse("request_id", &self.request_id)?,
            at: Timestamp::from_millis(self.at),
            account: place.parse("account_id", &self.account_id)?,
            workspace: place.parse("workspace_id", &self.workspace_id)?,
            api_key: place.parse("api_key_id", &self.api_key_id)?,
            user: place.parse("user_id", &self.user_id)?,
            provider: place.parse_optional("provider", self.provider.as_deref())?,
            key: place.parse_optional("provider_key_id", self.provider_key_id.as_deref())?,
            key_label: place.parse_optional("key_label", self.key_label.as_deref())?,
            key_source: place.parse_optional("key_source", self.key_source.as_deref())?,
            pricing: place.parse_optional("pricing", self.pricing.as_deref())?,
            key_scope: place.parse_optional("key_scope", self.key_scope.as_deref())?,
            wire_format: self.wire_format,
            operation: self.operation,
            model_requested: self.model_requested,
            model: self.model,
            status: self.status,
            error_code: self.error_code,
            streamed: self.streamed != 0,
            usage,
            latency_ms: self.latency_ms,
            first_byte_ms: self.first_byte_ms,
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            upstream_status: self.upstream_status,
            cost: self.cost.map(NanoUsd::new),
            catalog_version: self.catalog_version,
            charge: NanoUsd::new(self.charge),
            attempts: Vec::new(),
            fallback: self.fallback != 0,
            made: Vec::new(),
        };
        row.attempts = match attempts {
            Attempts::Listed(attempts) => attempts,
            Attempts::AtOnce(latency_ms) => {
                let only = served_at_once(&row, latency_ms);
                vec![only.ok_or_else(|| place.corrupt("attempts"))?]
            }
        };
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use domain::KeyScope;
    use domain::policy::KeySource;

    use super::super::tests::row;
    use super::*;

    #[test]
    fn only_an_attempt_that_the_row_tells_is_written_as_a_number() {
        let mut row = row();
        let at_once = served_at_once(&row, 7).expect("a provider");
        let written = |row: &mut UsageRow, attempt: &AttemptRow| {
            row.attempts = vec![attempt.clone()];
            attempts(row)
        };
        assert_eq!(written(&mut row, &at_once), "7");
        let changes: [fn(&mut AttemptRow); 9] = [
            |it| it.provider = "other".parse().expect("an id"),
            |it| it.model.push('x'),
            |it| it.key = None,
            |it| it.label = None,
            |it| it.key_source = KeySource::Byok,
            |it| it.status = None,
            |it| it.outcome.push('x'),
            |it| it.key_scope = Some(KeyScope::Account),
            |it| it.cost = Some(NanoUsd::new(1)),
        ];
        for change in changes {
            let mut other = at_once.clone();
            change(&mut other);
            assert_ne!(other, at_once);
            let text = written(&mut row, &other);
            let read: Vec<AttemptRow> = serde_json::from_str(&text).expect("a list");
            assert_eq!(read, [other]);
        }
        row.provider = None;
        assert!(written(&mut row, &at_once).starts_with('['));
    }
}
