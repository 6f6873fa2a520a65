//! The invariants of the ledger, checked.

use domain::NanoUsd;

use super::journal::Counterpart;
use crate::Store;
use crate::error::StoreError;
use crate::statement::sql;

/// How many findings of one kind are told.
const MOST: i64 = 20;
/// What the high part of a sum counts.
const PART: i128 = 4_294_967_296;
const NANOS: u128 = domain::money::NANOS_PER_USD.unsigned_abs() as u128;

/// What does not agree. Each question is one statement: what other nodes commit meanwhile is seen whole.
pub(crate) async fn findings(store: &Store) -> Result<Vec<String>, StoreError> {
    let mut findings = unbalanced(store).await?;
    findings.extend(accounts(store).await?);
    findings.extend(strangers(store).await?);
    findings.extend(charges(store).await?);
    findings.extend(without_row(store).await?);
    Ok(findings)
}

/// A sum of amounts in two parts, so that no engine runs out of numbers whatever the rows say: every amount is so many
/// times 4294967296, and a rest.
#[derive(sqlx::FromRow)]
struct Transaction {
    id: i64,
    entries: i64,
    high: i64,
    low: i64,
}

/// Transactions whose entries do not sum to zero, or that have none.
async fn unbalanced(store: &Store) -> Result<Vec<String>, StoreError> {
    let rows: Vec<Transaction> = store
        .db()
        .all(
            sql("SELECT id, entries, high, low
                 FROM (SELECT t.id, count(e.transaction_id) AS entries,
                              CAST(COALESCE(sum(e.amount / 4294967296), 0) AS BIGINT) AS high,
                              CAST(COALESCE(sum(e.amount % 4294967296), 0) AS BIGINT) AS low
                       FROM ledger_transactions t
                       LEFT JOIN ledger_entries e ON e.transaction_id = t.id
                       GROUP BY t.id) sums
                 WHERE entries < 2 OR low % 4294967296 <> 0 OR high + low / 4294967296 <> 0
                 ORDER BY id LIMIT $1")
            .bind(MOST),
        )
        .await?;
    let told = |row: Transaction| {
        let (id, entries, sum) = (row.id, row.entries, usd(whole(row.high, row.low)));
        format!("ledger transaction {id} has {entries} entries that sum to {sum} USD")
    };
    Ok(rows.into_iter().map(told).collect())
}

#[derive(sqlx::FromRow)]
struct Sums {
    account_id: String,
    available: i64,
    reserved: i64,
    debt: i64,
    entries_high: i64,
    entries_low: i64,
    cards_high: i64,
    cards_low: i64,
    holds_high: i64,
    holds_low: i64,
}

/// Accounts whose ledger, balance, cards and holds do not agree.
async fn accounts(store: &Store) -> Result<Vec<String>, StoreError> {
    // What is compared is a difference in two parts, too: zero, if the rest is a multiple and makes up for the other.
    let rows: Vec<Sums> = store
        .db()
        .all(
            sql("SELECT account_id, available, reserved, debt, entries_high, entries_low,
                        cards_high, cards_low, holds_high, holds_low
                 FROM (SELECT sums.*,
                              entries_high - available / 4294967296 - reserved / 4294967296 AS e_high,
                              entries_low - available % 4294967296 - reserved % 4294967296 AS e_low,
                              cards_high - debt / 4294967296
                                - available / 4294967296 - reserved / 4294967296 AS c_high,
                              cards_low - debt % 4294967296
                                - available % 4294967296 - reserved % 4294967296 AS c_low,
                              holds_high - reserved / 4294967296 AS h_high,
                              holds_low - reserved % 4294967296 AS h_low
                       FROM (SELECT a.account_id, a.available, a.reserved, a.debt,
                                    COALESCE(e.high, 0) AS entries_high,
                                    COALESCE(e.low, 0) AS entries_low,
                                    COALESCE(c.high, 0) AS cards_high,
                                    COALESCE(c.low, 0) AS cards_low,
                                    COALESCE(h.high, 0) AS holds_high,
                                    COALESCE(h.low, 0) AS holds_low
                             FROM credit_accounts a
                             LEFT JOIN (SELECT ledger_account,
                                               CAST(sum(amount / 4294967296) AS BIGINT) AS high,
                                               CAST(sum(amount % 4294967296) AS BIGINT) AS low
                                        FROM ledger_entries GROUP BY ledger_account) e
                                    ON e.ledger_account = a.account_id
                             LEFT JOIN (SELECT account_id,
                                               CAST(sum(remaining / 4294967296) AS BIGINT) AS high,
                                               CAST(sum(remaining % 4294967296) AS BIGINT) AS low
                                        FROM credit_cards GROUP BY account_id) c
                                    ON c.account_id = a.account_id
                             LEFT JOIN (SELECT account_id,
                                               CAST(sum(amount / 4294967296) AS BIGINT) AS high,
                                               CAST(sum(amount % 4294967296) AS BIGINT) AS low
                                        FROM credit_holds GROUP BY account_id) h
                                    ON h.account_id = a.account_id) sums) differences
                 WHERE e_low % 4294967296 <> 0 OR e_high + e_low / 4294967296 <> 0
                    OR c_low % 4294967296 <> 0 OR c_high + c_low / 4294967296 <> 0
                    OR h_low % 4294967296 <> 0 OR h_high + h_low / 4294967296 <> 0
                    OR (debt > 0 AND (cards_high > 0 OR cards_low > 0))
                 ORDER BY account_id LIMIT $1")
            .bind(MOST),
        )
        .await?;
    Ok(rows.iter().flat_map(disagreements).collect())
}

fn disagreements(sums: &Sums) -> Vec<String> {
    let id = &sums.account_id;
    let (reserved, debt) = (i128::from(sums.reserved), i128::from(sums.debt));
    let balance = i128::from(sums.available) + reserved;
    let entries = whole(sums.entries_high, sums.entries_low);
    let cards = whole(sums.cards_high, sums.cards_low);
    let holds = whole(sums.holds_high, sums.holds_low);
    let mut told = Vec::new();
    if entries != balance {
        let (entries, balance) = (usd(entries), usd(balance));
        told.push(format!(
            "{id}: ledger entries sum to {entries} USD, but available and reserved to {balance} USD"
        ));
    }
    if cards - debt != balance {
        let (cards, debt, balance) = (usd(cards), usd(debt), usd(balance));
        told.push(format!(
            "{id}: cards hold {cards} USD and {debt} USD are owed, but available and reserved sum to {balance} USD"
        ));
    }
    if holds != reserved {
        let (holds, reserved) = (usd(holds), usd(reserved));
        told.push(format!(
            "{id}: holds sum to {holds} USD, but {reserved} USD are reserved"
        ));
    }
    if debt > 0 && cards > 0 {
        let (cards, debt) = (usd(cards), usd(debt));
        told.push(format!(
            "{id}: {debt} USD are owed although cards hold {cards} USD"
        ));
    }
    told
}

/// A sum of its two parts.
fn whole(high: i64, low: i64) -> i128 {
    i128::from(high) * PART + i128::from(low)
}

/// Nano-USD as US dollars, also where they are more than an amount can be.
fn usd(nanos: i128) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let (whole, rest) = (nanos.unsigned_abs() / NANOS, nanos.unsigned_abs() % NANOS);
    let digits = format!("{whole}.{rest:09}");
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    format!("{sign}{digits}")
}

/// Ledger accounts that are neither an account's nor the instance's.
async fn strangers(store: &Store) -> Result<Vec<String>, StoreError> {
    let [issued, revenue, expired, forgiven] = Counterpart::ALL.map(Counterpart::as_str);
    let rows: Vec<(String,)> = store
        .db()
        .all(
            sql("SELECT DISTINCT e.ledger_account FROM ledger_entries e
                 WHERE e.ledger_account NOT IN ($1, $2, $3, $4)
                   AND NOT EXISTS (SELECT 1 FROM credit_accounts a
                                   WHERE a.account_id = e.ledger_account)
                 ORDER BY e.ledger_account LIMIT $5")
            .bind(issued)
            .bind(revenue)
            .bind(expired)
            .bind(forgiven)
            .bind(MOST),
        )
        .await?;
    let told = |(account,)| format!("ledger account {account} belongs to nobody");
    Ok(rows.into_iter().map(told).collect())
}

/// Calls whose usage row and ledger name different charges.
async fn charges(store: &Store) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String, i64, i64)> = store
        .db()
        .all(
            sql("SELECT u.request_id, u.charge, COALESCE(-e.amount, 0)
                 FROM usage u
                 LEFT JOIN ledger_transactions t ON t.request_id = u.request_id AND t.kind = 'charge'
                 LEFT JOIN ledger_entries e
                        ON e.transaction_id = t.id AND e.ledger_account = t.account_id
                 WHERE u.charge <> COALESCE(-e.amount, 0)
                 ORDER BY u.request_id LIMIT $1")
            .bind(MOST),
        )
        .await?;
    let told = |(request, charge, booked)| {
        let (charge, booked) = (NanoUsd::new(charge), NanoUsd::new(booked));
        format!("{request}: its usage row says {charge} USD, the ledger {booked} USD")
    };
    Ok(rows.into_iter().map(told).collect())
}

/// Accounts without credits.
async fn without_row(store: &Store) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> = store
        .db()
        .all(
            sql("SELECT a.id FROM accounts a
                 WHERE NOT EXISTS (SELECT 1 FROM credit_accounts c WHERE c.account_id = a.id)
                 ORDER BY a.id LIMIT $1")
            .bind(MOST),
        )
        .await?;
    let told = |(account,)| format!("{account} has no credits, not even none");
    Ok(rows.into_iter().map(told).collect())
}
