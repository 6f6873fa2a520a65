//! API keys as they are presented: which may act now, as what, and under which rules.

use domain::access::{ApiScope, Role};
use domain::plan::PlanTerms;
use domain::policy::{ModelName, WorkspacePolicy};
use domain::{AccountId, ApiKeyId, Decimal, PlanId, Timestamp, UserId, WorkspaceId};

use crate::Store;
use crate::error::{Place, StoreError};
use crate::moment;
use crate::scope::effective_scopes;
use crate::statement::sql;

/// An API key that may act now, with the scopes that its minter's role leaves it.
pub(crate) struct Live {
    pub(crate) id: ApiKeyId,
    pub(crate) user: UserId,
    pub(crate) workspace: WorkspaceId,
    pub(crate) account: AccountId,
    pub(crate) scopes: Vec<ApiScope>,
    pub(crate) default_model: Option<ModelName>,
    pub(crate) expires_at: Option<Timestamp>,
    /// What its workspace decided.
    pub(crate) policy: WorkspacePolicy,
    /// What its account has.
    pub(crate) plan: PlanId,
    pub(crate) terms: PlanTerms,
    pub(crate) rate: Decimal,
}

#[derive(sqlx::FromRow)]
struct StoredLive {
    id: String,
    user_id: String,
    workspace_id: String,
    account_id: String,
    owner_user: String,
    role: String,
    instance_admin: i64,
    scopes: String,
    default_model: Option<String>,
    expires_at: Option<i64>,
    policy: String,
    plan_id: Option<String>,
    terms: Option<String>,
    rate: Option<i64>,
}

/// The API key with this hash, if it and its minter may act at `now` and the owner of the account that pays is not
/// suspended.
pub(crate) async fn live(
    store: &Store,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Live>, StoreError> {
    let row: Option<StoredLive> = store
        .db()
        .optional(
            sql(
                "SELECT k.id, k.user_id, k.workspace_id, w.account_id, a.owner_user,
                        m.role, u.instance_admin, k.scopes, k.default_model, k.expires_at,
                        w.policy, s.plan_id, s.terms, c.rate
                 FROM api_keys k
                 JOIN workspaces w ON w.id = k.workspace_id
                 JOIN accounts a ON a.id = w.account_id
                 LEFT JOIN subscriptions s ON s.account_id = w.account_id
                 LEFT JOIN credit_accounts c ON c.account_id = w.account_id
                 JOIN members m ON m.workspace_id = k.workspace_id AND m.user_id = k.user_id
                 JOIN users u ON u.id = k.user_id
                 JOIN users o ON o.id = a.owner_user
                 WHERE k.hash = $1
                   AND k.revoked_at IS NULL
                   AND (k.expires_at IS NULL OR k.expires_at > $2)
                   AND u.suspended = 0
                   AND o.suspended = 0",
            )
            .bind(hash)
            .bind(now),
        )
        .await?;
    row.map(|row| {
        let place = Place {
            table: "api_keys",
            id: &row.id,
        };
        let role: Role = place.parse("role", &row.role)?;
        // Not a wrong key: who asks should come again.
        let (Some(plan), Some(terms), Some(rate)) = (row.plan_id, row.terms, row.rate) else {
            return Err(place.corrupt("plan of its account"));
        };
        let scopes = place.json::<Vec<ApiScope>>("scopes", &row.scopes)?;
        Ok(Live {
            id: place.parse("id", &row.id)?,
            user: place.parse("user_id", &row.user_id)?,
            workspace: place.parse("workspace_id", &row.workspace_id)?,
            account: place.parse("account_id", &row.account_id)?,
            scopes: effective_scopes(
                &scopes,
                role,
                row.owner_user == row.user_id,
                row.instance_admin != 0,
            ),
            default_model: place.parse_optional("default_model", row.default_model.as_deref())?,
            expires_at: moment(row.expires_at),
            policy: place.json("policy of its workspace", &row.policy)?,
            plan: place.parse("plan of its account", &plan)?,
            terms: place.json("terms of its account", &terms)?,
            rate: Decimal::from_billionths(rate),
        })
    })
    .transpose()
}
