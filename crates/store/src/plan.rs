//! Plans, and what each account subscribed to: a copy of a plan's terms.

use domain::plan::{OPERATOR_PLAN, Plan, PlanTerms, shipped};
use domain::{AccountId, NanoUsd, PlanId, Timestamp};

use crate::Store;
use crate::credit;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::json;
use crate::settings;
use crate::statement::{Statement, sql};

/// What an account has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionRow {
    /// The plan.
    pub plan: PlanId,
    /// Its terms as they were when the account subscribed.
    pub terms: PlanTerms,
    /// When the account subscribed.
    pub started_at: Timestamp,
}

type StoredSubscription = (String, String, i64);
type StoredPlan = (String, String, i64, String);

/// All plans, the lowest first.
pub(crate) async fn list(store: &Store) -> Result<Vec<Plan>, StoreError> {
    let rows: Vec<StoredPlan> = store.db().all(select_all()).await?;
    rows.into_iter().map(read).collect()
}

/// The same, read inside a change.
pub(crate) async fn list_in(tx: &mut Tx) -> Result<Vec<Plan>, StoreError> {
    let rows: Vec<StoredPlan> = tx.all(select_all()).await?;
    rows.into_iter().map(read).collect()
}

/// The plan with this id, read inside a change.
pub(crate) async fn get(tx: &mut Tx, plan: &PlanId) -> Result<Option<Plan>, StoreError> {
    tx.optional(sql("SELECT id, name, rank, terms FROM plans WHERE id = $1").bind(plan))
        .await?
        .map(read)
        .transpose()
}

/// Adds a plan, or gives it another name, rank or terms. Subscriptions keep theirs.
pub(crate) async fn put(tx: &mut Tx, plan: &Plan) -> Result<(), StoreError> {
    tx.run(
        sql(
            "INSERT INTO plans (id, name, rank, terms) VALUES ($1, $2, $3, $4)
             ON CONFLICT (id) DO UPDATE SET name = $2, rank = $3, terms = $4",
        )
        .bind(&plan.id)
        .bind(&plan.name)
        .bind(plan.rank)
        .bind(&json(&plan.terms)),
    )
    .await?;
    Ok(())
}

/// Removes a plan that nobody has and that new accounts do not get.
pub(crate) async fn remove(tx: &mut Tx, plan: &PlanId) -> Result<(), StoreError> {
    if settings::get_in(tx).await?.default_plan == *plan {
        return Err(StoreError::Conflict("new accounts get this plan"));
    }
    let used: Option<(String,)> = tx
        .optional(sql("SELECT account_id FROM subscriptions WHERE plan_id = $1 LIMIT 1").bind(plan))
        .await?;
    if used.is_some() {
        return Err(StoreError::Conflict("an account has this plan"));
    }
    let removed = tx
        .run(sql("DELETE FROM plans WHERE id = $1").bind(plan))
        .await?;
    if removed == 0 {
        return Err(StoreError::NotFound);
    }
    Ok(())
}

/// What an account has; `None`: there is no such account.
pub(crate) async fn subscription(
    store: &Store,
    account: AccountId,
) -> Result<Option<SubscriptionRow>, StoreError> {
    store
        .db()
        .optional(select_subscription(account))
        .await?
        .map(|row| read_subscription(account, row))
        .transpose()
}

/// What an account has, read inside a change.
pub(crate) async fn held(tx: &mut Tx, account: AccountId) -> Result<SubscriptionRow, StoreError> {
    let row: Option<StoredSubscription> = tx.optional(select_subscription(account)).await?;
    read_subscription(account, row.ok_or(StoreError::NotFound)?)
}

/// The terms that hold for an account, read inside a change.
pub(crate) async fn terms(tx: &mut Tx, account: AccountId) -> Result<PlanTerms, StoreError> {
    Ok(held(tx, account).await?.terms)
}

/// Gives an account a plan, on the terms that the plan has now.
pub(crate) async fn subscribe(
    tx: &mut Tx,
    account: AccountId,
    plan: &Plan,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.run(
        sql(
            "INSERT INTO subscriptions (account_id, plan_id, terms, started_at)
             VALUES ($1, $2, $3, $4)
             ON CONFLICT (account_id) DO UPDATE SET plan_id = $2, terms = $3, started_at = $4",
        )
        .bind(account)
        .bind(&plan.id)
        .bind(&json(&plan.terms))
        .bind(now),
    )
    .await?;
    Ok(())
}

/// Gives a new account its plan, with the included credits of that: the instance's first one the operator's, every
/// other one the default.
pub(crate) async fn open(
    tx: &mut Tx,
    account: AccountId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let other: Option<(String,)> = tx
        .optional(sql("SELECT id FROM accounts WHERE id <> $1 LIMIT 1").bind(account))
        .await?;
    let plan = match other {
        None => of_operator(tx).await?,
        Some(_) => of_newcomer(tx).await?,
    };
    open_with(tx, account, &plan, now).await
}

/// Gives an account that a tenant's invitation made the default plan, without its included credits: those take an
/// admin of the instance, who gives the account a subscription.
pub(crate) async fn open_invited(
    tx: &mut Tx,
    account: AccountId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut plan = of_newcomer(tx).await?;
    plan.terms.monthly_credits = 0;
    open_with(tx, account, &plan, now).await
}

async fn open_with(
    tx: &mut Tx,
    account: AccountId,
    plan: &Plan,
    now: Timestamp,
) -> Result<(), StoreError> {
    subscribe(tx, account, plan, now).await?;
    let monthly = NanoUsd::from_credits(plan.terms.monthly_credits);
    credit::open_account(tx, account, monthly, now).await
}

/// Gives a fresh or upgraded database what every account needs: settings, plans, and a subscription for each
/// account that has none. Does nothing where all is there, whichever process comes first.
pub(crate) async fn seed(store: &Store) -> Result<(), StoreError> {
    let (settings, bare): (i64, i64) = store
        .db()
        .one(sql(
            "SELECT (SELECT count(*) FROM settings),
                    (SELECT count(*) FROM accounts a
                     WHERE NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.account_id = a.id))",
        ))
        .await?;
    if settings > 0 && bare == 0 {
        return Ok(());
    }
    let mut writing = store.writing().await?;
    let tx = &mut writing.tx;
    // Empty, so that settings that nobody chose follow the defaults of later versions.
    let first = tx
        .run(sql(
            "INSERT INTO settings (singleton, body) VALUES (1, '{}')
                  ON CONFLICT (singleton) DO NOTHING",
        ))
        .await?;
    if first == 1 {
        for plan in shipped() {
            put(tx, &plan).await?;
        }
    }
    seed_subscriptions(tx).await?;
    writing
        .commit_unaudited(crate::revision::Affects::Nothing)
        .await
}

/// Subscribes every account that has no plan, as of when it was made.
async fn seed_subscriptions(tx: &mut Tx) -> Result<(), StoreError> {
    let operator: Option<(String,)> = tx
        .optional(sql("SELECT a.id
             FROM accounts a
             JOIN users u ON u.id = a.owner_user
             WHERE u.instance_admin = 1
             ORDER BY u.created_at, u.id LIMIT 1"))
        .await?;
    let bare: Vec<(String, i64, i64)> = tx
        .all(sql(
            "SELECT a.id, a.created_at,
                    (SELECT count(*) FROM credit_accounts c WHERE c.account_id = a.id)
             FROM accounts a
             WHERE NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.account_id = a.id)",
        ))
        .await?;
    for (id, created_at, credits) in bare {
        let place = Place {
            table: "accounts",
            id: &id,
        };
        let account = place.parse("id", &id)?;
        let plan = match &operator {
            Some((operator,)) if *operator == id => of_operator(tx).await?,
            _ => of_newcomer(tx).await?,
        };
        let created_at = Timestamp::from_millis(created_at);
        if credits == 0 {
            // An older version, still running elsewhere, makes accounts without either.
            open_with(tx, account, &plan, created_at).await?;
        } else {
            subscribe(tx, account, &plan, created_at).await?;
            include_credits(tx, account, &plan).await?;
        }
    }
    Ok(())
}

/// Includes the plan's credits for an account that had none yet: the first ones come when somebody looks.
async fn include_credits(tx: &mut Tx, account: AccountId, plan: &Plan) -> Result<(), StoreError> {
    tx.run(
        sql("UPDATE credit_accounts SET monthly = $2, next_event_at = 0 WHERE account_id = $1")
            .bind(account)
            .bind(NanoUsd::from_credits(plan.terms.monthly_credits).nanos()),
    )
    .await?;
    Ok(())
}

/// The plan of the first account; where it was removed, the plan that new accounts get.
async fn of_operator(tx: &mut Tx) -> Result<Plan, StoreError> {
    let operator = OPERATOR_PLAN.parse().expect("a valid id");
    match get(tx, &operator).await? {
        Some(plan) => Ok(plan),
        None => of_newcomer(tx).await,
    }
}

async fn of_newcomer(tx: &mut Tx) -> Result<Plan, StoreError> {
    let id = settings::get_in(tx).await?.default_plan;
    let place = Place {
        table: "plans",
        id: id.as_str(),
    };
    get(tx, &id).await?.ok_or_else(|| place.corrupt("id"))
}

fn select_all() -> Statement {
    sql("SELECT id, name, rank, terms FROM plans ORDER BY rank, id")
}

fn select_subscription(account: AccountId) -> Statement {
    sql("SELECT plan_id, terms, started_at FROM subscriptions WHERE account_id = $1").bind(account)
}

fn read_subscription(
    account: AccountId,
    (plan, terms, started_at): StoredSubscription,
) -> Result<SubscriptionRow, StoreError> {
    let id = account.to_string();
    let place = Place {
        table: "subscriptions",
        id: &id,
    };
    Ok(SubscriptionRow {
        plan: place.parse("plan_id", &plan)?,
        terms: place.json("terms", &terms)?,
        started_at: Timestamp::from_millis(started_at),
    })
}

fn read((id, name, rank, terms): StoredPlan) -> Result<Plan, StoreError> {
    let place = Place {
        table: "plans",
        id: &id,
    };
    Ok(Plan {
        id: place.parse("id", &id)?,
        terms: place.json("terms", &terms)?,
        name,
        rank,
    })
}
