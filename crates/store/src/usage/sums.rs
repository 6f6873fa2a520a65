//! What many calls came to, read from the days that are kept beside them.

use domain::credits::utc_day;
use domain::policy::KeySource;
use domain::{
    AccountId, ApiKeyId, KeyScope, NanoUsd, ProviderId, ProviderKeyId, Timestamp, UserId,
    WorkspaceId,
};

use super::list::of_person;
use crate::Store;
use crate::error::StoreError;
use crate::statement::{Statement, sql};

const DAY_MS: i64 = 86_400_000;

/// The most groups that an answer has.
pub const MAX_USAGE_GROUPS: usize = 2_000;

/// What calls are added up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UsageDimension {
    /// The UTC day on which they ended.
    Day,
    /// The provider that served last.
    Provider,
    /// The model, by the provider's own name.
    Model,
    /// Who paid.
    KeySource,
    /// The own key that served; of the instance's keys, only for the instance.
    ProviderKey,
    /// The API key that called.
    ApiKey,
    /// The person who minted that one.
    Member,
    /// The workspace.
    Workspace,
    /// The account.
    Account,
}

/// Which calls are added up, and by what. What is left out narrows nothing.
#[derive(Debug, Clone, Default)]
pub struct SumsRequest {
    /// From this UTC day on, counted from 1970.
    pub from_day: i64,
    /// To this UTC day, it included.
    pub to_day: i64,
    /// What the groups differ in; none: one group of all.
    pub by: Vec<UsageDimension>,
    /// Served by this provider last.
    pub provider: Option<ProviderId>,
    /// Of this model, by the provider's own name.
    pub model: Option<String>,
    /// Served by this own key; for the instance, by this key of its own.
    pub provider_key: Option<ProviderKeyId>,
    /// Called with this API key.
    pub api_key: Option<ApiKeyId>,
    /// Called with an API key of this person.
    pub user: Option<UserId>,
    /// Paid so.
    pub key_source: Option<KeySource>,
    /// In this workspace.
    pub workspace: Option<WorkspaceId>,
    /// Of this account.
    pub account: Option<AccountId>,
}

/// What the calls of one group came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageSums {
    /// How many calls, failed ones too.
    pub calls: i64,
    /// How many of them ended with a status of 400 or more.
    pub failed: i64,
    /// How many own keys served.
    pub own_key_calls: i64,
    /// How many credits paid.
    pub credit_calls: i64,
    /// Tokens that were neither read from nor written to a cache.
    pub input_tokens: i64,
    /// Tokens read from caches.
    pub cached_input_tokens: i64,
    /// Tokens written to caches.
    pub cache_write_tokens: i64,
    /// Tokens of answers, reasoning included.
    pub output_tokens: i64,
    /// The part of them spent on reasoning.
    pub reasoning_tokens: i64,
    /// At list price, where it is known.
    pub cost: NanoUsd,
    /// The part of it that own keys served.
    pub own_key_cost: NanoUsd,
    /// How many calls have no known price.
    pub unpriced: i64,
    /// What was taken in credits.
    pub charge: NanoUsd,
    /// All of the calls' latencies.
    pub latency_ms: i64,
    /// All of the waits for a first byte, and how many they were.
    pub first_byte: (i64, i64),
}

/// One group. Of what it was not grouped by it says nothing, and `None` within is: none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageGroup {
    /// The UTC day.
    pub day: Option<String>,
    /// The provider.
    pub provider: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// Who paid.
    pub key_source: Option<String>,
    /// The provider key, and its label if it is still there.
    pub provider_key: Option<(String, Option<String>)>,
    /// Whose that key is, if it is still there.
    pub key_scope: Option<KeyScope>,
    /// The API key, and its name if it is still there.
    pub api_key: Option<(String, Option<String>)>,
    /// The person, and the e-mail unless the person left the instance.
    pub user: Option<(String, Option<String>)>,
    /// The workspace, and its name if it is still there.
    pub workspace: Option<(String, Option<String>)>,
    /// The account, and its name if it is still there.
    pub account: Option<(String, Option<String>)>,
    /// What they came to.
    pub sums: UsageSums,
}

/// Groups, and whether there are more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageSummary {
    /// All of the calls.
    pub total: UsageSums,
    /// By day first, then the costliest first; at most [`MAX_USAGE_GROUPS`].
    pub groups: Vec<UsageGroup>,
    /// Whether there are more than these.
    pub truncated: bool,
}

/// Whose calls.
#[derive(Clone, Copy)]
pub(crate) enum Whose {
    Workspace(WorkspaceId),
    Account(AccountId),
    Instance,
}

/// Adds calls up.
pub(crate) async fn sums(
    store: &Store,
    whose: Whose,
    request: &SumsRequest,
) -> Result<UsageSummary, StoreError> {
    let total = request.statement(whose, &[]);
    let total: Option<Stored> = store.db().optional(total).await?;
    let total = total.map(|row| row.read(&[]).sums).unwrap_or_default();
    if request.by.is_empty() {
        return Ok(UsageSummary {
            total,
            ..UsageSummary::default()
        });
    }
    let groups = request.statement(whose, &request.by);
    let mut groups: Vec<Stored> = store.db().all(groups).await?;
    let truncated = groups.len() > MAX_USAGE_GROUPS;
    groups.truncate(MAX_USAGE_GROUPS);
    Ok(UsageSummary {
        total,
        groups: groups
            .into_iter()
            .map(|row| row.read(&request.by))
            .collect(),
        truncated,
    })
}

/// The sums by what `$1` to `$9` switch on. What is off is the same in all rows, so that it groups nothing.
macro_rules! text {
    ($whose:literal, $own_key:literal) => {
        concat!(
            "SELECT g.*, p.label AS provider_key_label,
                    CASE WHEN p.workspace_id IS NOT NULL THEN 'workspace'
                         WHEN p.account_id IS NOT NULL THEN 'account'
                         WHEN p.instance_id IS NOT NULL THEN 'instance' END AS provider_key_scope,
                    k.name AS api_key_name,
                    CASE WHEN u.password_hash = '!' THEN NULL ELSE u.email END AS user_email,
                    w.name AS workspace_name, a.name AS account_name
             FROM (SELECT day, provider, model, key_source, provider_key_id, api_key_id, user_id,
                          workspace_id, account_id,
                          CAST(sum(calls) AS BIGINT) AS calls,
                          CAST(sum(failed) AS BIGINT) AS failed,
                          CAST(sum(CASE WHEN paid = 'byok' THEN calls ELSE 0 END) AS BIGINT) AS own_key_calls,
                          CAST(sum(CASE WHEN paid = 'managed' THEN calls ELSE 0 END) AS BIGINT) AS credit_calls,
                          CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
                          CAST(sum(cached_input_tokens) AS BIGINT) AS cached_input_tokens,
                          CAST(sum(cache_write_tokens) AS BIGINT) AS cache_write_tokens,
                          CAST(sum(output_tokens) AS BIGINT) AS output_tokens,
                          CAST(sum(reasoning_tokens) AS BIGINT) AS reasoning_tokens,
                          CAST(sum(cost) AS BIGINT) AS cost,
                          CAST(sum(CASE WHEN paid = 'byok' THEN cost ELSE 0 END) AS BIGINT) AS own_key_cost,
                          CAST(sum(unpriced) AS BIGINT) AS unpriced,
                          CAST(sum(charge) AS BIGINT) AS charge,
                          CAST(sum(latency_ms) AS BIGINT) AS latency_ms,
                          CAST(sum(first_byte_ms) AS BIGINT) AS first_byte_ms,
                          CAST(sum(first_bytes) AS BIGINT) AS first_bytes
                   FROM (SELECT CASE WHEN $1 = 1 THEN day ELSE 0 END AS day,
                                CASE WHEN $2 = 1 THEN provider ELSE '' END AS provider,
                                CASE WHEN $3 = 1 THEN model ELSE '' END AS model,
                                CASE WHEN $4 = 1 THEN key_source ELSE '' END AS key_source,
                                CASE WHEN $5 = 1 AND key_source = '", $own_key, "'
                                     THEN provider_key_id ELSE '' END AS provider_key_id,
                                CASE WHEN $6 = 1 THEN api_key_id ELSE '' END AS api_key_id,
                                CASE WHEN $7 = 1 THEN user_id ELSE '' END AS user_id,
                                CASE WHEN $8 = 1 THEN workspace_id ELSE '' END AS workspace_id,
                                CASE WHEN $9 = 1 THEN account_id ELSE '' END AS account_id,
                                key_source AS paid, calls, failed, input_tokens,
                                cached_input_tokens, cache_write_tokens, output_tokens,
                                reasoning_tokens, cost, unpriced, charge, latency_ms,
                                first_byte_ms, first_bytes
                         FROM usage_days
                         WHERE ", $whose, " day >= $10 AND day <= $11
                           AND ($12 IS NULL OR provider = $12)
                           AND ($13 IS NULL OR model = $13)
                           AND ($14 IS NULL OR (provider_key_id = $14 AND key_source = '", $own_key, "'))
                           AND ($15 IS NULL OR api_key_id = $15)
                           AND ($16 IS NULL OR user_id = $16)
                           AND ($17 IS NULL OR key_source = $17)
                           AND ($18 IS NULL OR workspace_id = $18)
                           AND ($19 IS NULL OR account_id = $19)) AS days
                   GROUP BY day, provider, model, key_source, provider_key_id, api_key_id, user_id,
                            workspace_id, account_id
                   ORDER BY day, cost DESC, calls DESC, provider, model, key_source, provider_key_id,
                            api_key_id, user_id, workspace_id, account_id
                   LIMIT $20) AS g
             LEFT JOIN provider_keys p ON p.id = g.provider_key_id
             LEFT JOIN api_keys k ON k.id = g.api_key_id
             LEFT JOIN users u ON u.id = g.user_id
             LEFT JOIN workspaces w ON w.id = g.workspace_id
             LEFT JOIN accounts a ON a.id = g.account_id
             ORDER BY g.day, g.cost DESC, g.calls DESC, g.provider, g.model, g.key_source,
                      g.provider_key_id, g.api_key_id, g.user_id, g.workspace_id, g.account_id"
        )
    };
}

const OF_WORKSPACE: &str = text!("workspace_id = $21 AND", "byok");
const OF_ACCOUNT: &str = text!("account_id = $21 AND", "byok");
const OF_INSTANCE: &str = text!("", "managed");

impl SumsRequest {
    /// The same, of the calls of this person alone; `None`: they are another's, so there are none.
    pub(crate) fn of_person(mut self, person: Option<UserId>) -> Option<Self> {
        self.user = of_person(self.user, person)?;
        Some(self)
    }

    pub(super) fn statement(&self, whose: Whose, by: &[UsageDimension]) -> Statement {
        let text = match whose {
            Whose::Workspace(_) => OF_WORKSPACE,
            Whose::Account(_) => OF_ACCOUNT,
            Whose::Instance => OF_INSTANCE,
        };
        let mut statement = sql(text);
        for dimension in [
            UsageDimension::Day,
            UsageDimension::Provider,
            UsageDimension::Model,
            UsageDimension::KeySource,
            UsageDimension::ProviderKey,
            UsageDimension::ApiKey,
            UsageDimension::Member,
            UsageDimension::Workspace,
            UsageDimension::Account,
        ] {
            statement = statement.bind(by.contains(&dimension));
        }
        let statement = statement
            .bind(self.from_day)
            .bind(self.to_day)
            .bind(self.provider.as_ref().map(ProviderId::as_str))
            .bind(self.model.as_deref())
            .bind(self.provider_key)
            .bind(self.api_key)
            .bind(self.user)
            .bind(self.key_source.map(KeySource::as_str))
            .bind(self.workspace)
            .bind(self.account)
            .bind(MAX_USAGE_GROUPS as i64 + 1);
        match whose {
            Whose::Workspace(workspace) => statement.bind(workspace),
            Whose::Account(account) => statement.bind(account),
            Whose::Instance => statement,
        }
    }
}

#[derive(sqlx::FromRow)]
struct Stored {
    day: i64,
    provider: String,
    model: String,
    key_source: String,
    provider_key_id: String,
    api_key_id: String,
    user_id: String,
    workspace_id: String,
    account_id: String,
    calls: i64,
    failed: i64,
    own_key_calls: i64,
    credit_calls: i64,
    input_tokens: i64,
    cached_input_tokens: i64,
    cache_write_tokens: i64,
    output_tokens: i64,
    reasoning_tokens: i64,
    cost: i64,
    own_key_cost: i64,
    unpriced: i64,
    charge: i64,
    latency_ms: i64,
    first_byte_ms: i64,
    first_bytes: i64,
    provider_key_label: Option<String>,
    provider_key_scope: Option<String>,
    api_key_name: Option<String>,
    user_email: Option<String>,
    workspace_name: Option<String>,
    account_name: Option<String>,
}

impl Stored {
    fn read(self, by: &[UsageDimension]) -> UsageGroup {
        let is = |dimension| by.contains(&dimension);
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let named = |id: String, name: Option<String>| some(id).map(|id| (id, name));
        let begin = Timestamp::from_millis(self.day.saturating_mul(DAY_MS));
        UsageGroup {
            day: is(UsageDimension::Day).then(|| utc_day(begin)),
            provider: some(self.provider),
            model: some(self.model),
            key_source: some(self.key_source),
            provider_key: named(self.provider_key_id, self.provider_key_label),
            key_scope: self.provider_key_scope.and_then(|scope| scope.parse().ok()),
            api_key: named(self.api_key_id, self.api_key_name),
            user: named(self.user_id, self.user_email),
            workspace: named(self.workspace_id, self.workspace_name),
            account: named(self.account_id, self.account_name),
            sums: UsageSums {
                calls: self.calls,
                failed: self.failed,
                own_key_calls: self.own_key_calls,
                credit_calls: self.credit_calls,
                input_tokens: self.input_tokens,
                cached_input_tokens: self.cached_input_tokens,
                cache_write_tokens: self.cache_write_tokens,
                output_tokens: self.output_tokens,
                reasoning_tokens: self.reasoning_tokens,
                cost: NanoUsd::new(self.cost),
                own_key_cost: NanoUsd::new(self.own_key_cost),
                unpriced: self.unpriced,
                charge: NanoUsd::new(self.charge),
                latency_ms: self.latency_ms,
                first_byte: (self.first_byte_ms, self.first_bytes),
            },
        }
    }
}
