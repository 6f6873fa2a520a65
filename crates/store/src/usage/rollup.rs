//! What calls came to, by day, and how provider keys fared, by hour: kept beside the calls, in their transaction.
//!
//! Sums of millions of calls are read from thousands of rows. Rows are written in the order of their keys, so that two
//! nodes cannot wait for each other.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use domain::policy::KeySource;
use domain::price::Pricing;
use domain::{NanoUsd, ProviderId, ProviderKeyId, Timestamp, Usage};

use super::{GroupId, Grouped, UsageRow};
use crate::db::Tx;
use crate::error::StoreError;
use crate::statement::{InOrder, sql};

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
/// How many hours a provider key's health is kept for: 24, and the one that runs.
pub(crate) const HOURS: i64 = 25;
/// No call counts for more tokens than this, or for more than a million dollars: a sum of nine million such calls fits.
const MOST_TOKENS: u64 = 1_000_000_000_000;
const MOST_NANOS: i64 = 1_000_000_000_000_000;

/// The UTC day of a moment, counted from 1970.
pub(crate) fn day(at: Timestamp) -> i64 {
    at.millis().div_euclid(DAY_MS)
}

/// The hour of a moment, counted from 1970.
pub(crate) fn hour(at: Timestamp) -> i64 {
    at.millis().div_euclid(HOUR_MS)
}

/// What calls of one day have in common. The order is that of the table's key.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    workspace: String,
    day: i64,
    provider: String,
    model: String,
    key_source: &'static str,
    provider_key: String,
    api_key: String,
    user: String,
    account: String,
}

/// What they come to.
#[derive(Default)]
struct Sums {
    calls: i64,
    failed: i64,
    input_tokens: i64,
    cached_input_tokens: i64,
    cache_write_tokens: i64,
    output_tokens: i64,
    reasoning_tokens: i64,
    cost: i64,
    unpriced: i64,
    charge: i64,
    latency_ms: i64,
    first_byte_ms: i64,
    first_bytes: i64,
}

/// How the tries with one provider key ended in one hour.
#[derive(Default)]
struct Tries {
    calls: i64,
    failed: i64,
    unauthorized: i64,
    rate_limited: i64,
}

/// Adds calls that were just written; each at the moment at which it is, and no call twice.
pub(crate) async fn note(tx: &mut Tx, rows: &[Grouped<'_>]) -> Result<(), StoreError> {
    // By numbers first: the texts of a group are written once, not for each call.
    let mut numbered: BTreeMap<(GroupId, i64), (&UsageRow, Sums)> = BTreeMap::new();
    let mut hours: BTreeMap<(ProviderKeyId, i64), Tries> = BTreeMap::new();
    for (row, id) in rows {
        let first = || (*row, Sums::default());
        let (_, sums) = numbered.entry((*id, day(row.at))).or_insert_with(first);
        sums.add(row);
        for attempt in &row.attempts {
            if let Some(key) = attempt.key {
                let tries = hours.entry((key, hour(row.at))).or_default();
                tries.calls += 1;
                // That another answered sooner is no failure of the key.
                tries.failed += i64::from(!matches!(attempt.outcome.as_str(), "ok" | "cancelled"));
                tries.unauthorized += i64::from(attempt.status == Some(401));
                tries.rate_limited += i64::from(attempt.status == Some(429));
            }
        }
    }
    let mut days: BTreeMap<Group, Sums> = BTreeMap::new();
    for (row, sums) in numbered.into_values() {
        days.entry(group(row)).or_default().join(&sums);
    }
    for (group, sums) in days {
        add_day(tx, &group, &sums).await?;
    }
    for ((key, hour), tries) in hours {
        add_hour(tx, key, hour, &tries).await?;
    }
    Ok(())
}

/// Drops what is too old to be shown; mostly of provider keys that are gone.
pub(crate) async fn prune_hours(tx: &mut Tx, now: Timestamp) -> Result<u64, StoreError> {
    tx.run(sql("DELETE FROM provider_key_hours WHERE hour <= $1").bind(hour(now) - HOURS))
        .await
}

fn group(row: &UsageRow) -> Group {
    let provider = row.provider.as_ref().map_or("", ProviderId::as_str);
    Group {
        workspace: row.workspace.to_string(),
        day: day(row.at),
        provider: provider.to_owned(),
        model: row.model.clone().unwrap_or_default(),
        key_source: row.key_source.map_or("", KeySource::as_str),
        provider_key: row.key.map(|key| key.to_string()).unwrap_or_default(),
        api_key: row.api_key.to_string(),
        user: row.user.to_string(),
        account: row.account.to_string(),
    }
}

impl Sums {
    fn add(&mut self, row: &UsageRow) {
        let tokens = |count: fn(&Usage) -> u64| {
            let count = row.usage.as_ref().map_or(0, count);
            i64::try_from(count.min(MOST_TOKENS)).unwrap_or(i64::MAX)
        };
        let nanos = |amount: NanoUsd| amount.nanos().min(MOST_NANOS);
        self.calls += 1;
        self.failed += i64::from(row.status >= 400);
        self.input_tokens += tokens(|usage| usage.input_tokens);
        self.cached_input_tokens += tokens(|usage| usage.cached_input_tokens);
        self.cache_write_tokens += tokens(|usage| usage.cache_write_tokens);
        self.output_tokens += tokens(|usage| usage.output_tokens);
        self.reasoning_tokens += tokens(|usage| usage.reasoning_tokens);
        self.cost += row.cost.map_or(0, nanos);
        self.unpriced += i64::from(row.pricing == Some(Pricing::Unpriced));
        self.charge += nanos(row.charge);
        self.latency_ms += row.latency_ms;
        self.first_byte_ms += row.first_byte_ms.unwrap_or(0);
        self.first_bytes += i64::from(row.first_byte_ms.is_some());
    }

    fn join(&mut self, other: &Self) {
        self.calls += other.calls;
        self.failed += other.failed;
        self.input_tokens += other.input_tokens;
        self.cached_input_tokens += other.cached_input_tokens;
        self.cache_write_tokens += other.cache_write_tokens;
        self.output_tokens += other.output_tokens;
        self.reasoning_tokens += other.reasoning_tokens;
        self.cost += other.cost;
        self.unpriced += other.unpriced;
        self.charge += other.charge;
        self.latency_ms += other.latency_ms;
        self.first_byte_ms += other.first_byte_ms;
        self.first_bytes += other.first_bytes;
    }
}

const KEY: &str = "workspace_id, day, provider, model, key_source, provider_key_id, api_key_id, user_id, account_id";
const SUMS: [&str; 13] = [
    "calls",
    "failed",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost",
    "unpriced",
    "charge",
    "latency_ms",
    "first_byte_ms",
    "first_bytes",
];
static ADD_DAY: LazyLock<InOrder> = LazyLock::new(|| {
    let places = vec!["$"; KEY.split(',').count() + SUMS.len()].join(", ");
    let added: Vec<String> = SUMS
        .iter()
        .map(|sum| format!("{sum} = usage_days.{sum} + excluded.{sum}"))
        .collect();
    InOrder::new(&format!(
        "INSERT INTO usage_days ({KEY}, {}) VALUES ({places}) ON CONFLICT ({KEY}) DO UPDATE SET {}",
        SUMS.join(", "),
        added.join(", ")
    ))
});

async fn add_day(tx: &mut Tx, group: &Group, sums: &Sums) -> Result<(), StoreError> {
    let statement = ADD_DAY
        .statement()
        .bind(&group.workspace)
        .bind(group.day)
        .bind(&group.provider)
        .bind(&group.model)
        .bind(group.key_source)
        .bind(&group.provider_key)
        .bind(&group.api_key)
        .bind(&group.user)
        .bind(&group.account)
        .bind(sums.calls)
        .bind(sums.failed)
        .bind(sums.input_tokens)
        .bind(sums.cached_input_tokens)
        .bind(sums.cache_write_tokens)
        .bind(sums.output_tokens)
        .bind(sums.reasoning_tokens)
        .bind(sums.cost)
        .bind(sums.unpriced)
        .bind(sums.charge)
        .bind(sums.latency_ms)
        .bind(sums.first_byte_ms)
        .bind(sums.first_bytes);
    tx.run(statement).await?;
    Ok(())
}

/// An hour takes over the slot of one that lies 25 hours back. What comes later than that is too late to be shown.
async fn add_hour(
    tx: &mut Tx,
    key: ProviderKeyId,
    hour: i64,
    tries: &Tries,
) -> Result<(), StoreError> {
    tx.run(
        sql("INSERT INTO provider_key_hours AS kept (provider_key_id, slot, hour, calls, failed,
                                                     unauthorized, rate_limited)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (provider_key_id, slot) DO UPDATE SET
                 calls = excluded.calls + CASE WHEN kept.hour = excluded.hour THEN kept.calls ELSE 0 END,
                 failed = excluded.failed + CASE WHEN kept.hour = excluded.hour THEN kept.failed ELSE 0 END,
                 unauthorized = excluded.unauthorized
                     + CASE WHEN kept.hour = excluded.hour THEN kept.unauthorized ELSE 0 END,
                 rate_limited = excluded.rate_limited
                     + CASE WHEN kept.hour = excluded.hour THEN kept.rate_limited ELSE 0 END,
                 hour = excluded.hour
             WHERE kept.hour <= excluded.hour")
        .bind(key)
        .bind(hour.rem_euclid(HOURS))
        .bind(hour)
        .bind(tries.calls)
        .bind(tries.failed)
        .bind(tries.unauthorized)
        .bind(tries.rate_limited),
    )
    .await?;
    Ok(())
}
