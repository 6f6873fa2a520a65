//! The invariants of the ledger, checked.

use domain::NanoUsd;

use super::journal::System;
use crate::Store;
use crate::error::StoreError;
use crate::statement::sql;

/// How many findings of one kind are told.
const MOST: i64 = 20;

/// What does not agree. Each question is one statement: what other nodes commit meanwhile is seen whole.
pub(crate) async fn findings(store: &Store) -> Result<Vec<String>, StoreError> {
    let mut findings = unbalanced(store).await?;
    findings.extend(accounts(store).await?);
    findings.extend(strangers(store).await?);
    findings.extend(charges(store).await?);
    findings.extend(without_row(store).await?);
    Ok(findings)
}

/// Transactions whose entries do not sum to zero, or that have none.
async fn unbalanced(store: &Store) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(i64, i64, i64)> = store
        .db()
        .all(
            sql(
                "SELECT t.id, count(e.transaction_id), CAST(COALESCE(sum(e.amount), 0) AS BIGINT)
                 FROM ledger_transactions t LEFT JOIN ledger_entries e ON e.transaction_id = t.id
                 GROUP BY t.id
                 HAVING count(e.transaction_id) < 2 OR sum(e.amount) <> 0
                 ORDER BY t.id LIMIT $1",
            )
            .bind(MOST),
        )
        .await?;
    let told = |(id, entries, sum)| {
        let sum = NanoUsd::new(sum);
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
    entries: i64,
    cards: i64,
    holds: i64,
}

/// Accounts whose ledger, balance, cards and holds do not agree.
async fn accounts(store: &Store) -> Result<Vec<String>, StoreError> {
    let rows: Vec<Sums> = store
        .db()
        .all(
            sql(
                "SELECT account_id, available, reserved, debt, entries, cards, holds
                 FROM (SELECT a.account_id, a.available, a.reserved, a.debt,
                              CAST(COALESCE(e.amount, 0) AS BIGINT) AS entries,
                              CAST(COALESCE(c.remaining, 0) AS BIGINT) AS cards,
                              CAST(COALESCE(h.amount, 0) AS BIGINT) AS holds
                       FROM credit_accounts a
                       LEFT JOIN (SELECT ledger_account, sum(amount) AS amount
                                  FROM ledger_entries GROUP BY ledger_account) e
                              ON e.ledger_account = a.account_id
                       LEFT JOIN (SELECT account_id, sum(remaining) AS remaining
                                  FROM credit_cards GROUP BY account_id) c
                              ON c.account_id = a.account_id
                       LEFT JOIN (SELECT account_id, sum(amount) AS amount
                                  FROM credit_holds GROUP BY account_id) h
                              ON h.account_id = a.account_id) sums
                 WHERE entries <> available + reserved OR cards - debt <> available + reserved
                    OR holds <> reserved OR (debt > 0 AND cards > 0)
                 ORDER BY account_id LIMIT $1",
            )
            .bind(MOST),
        )
        .await?;
    Ok(rows.iter().flat_map(disagreements).collect())
}

fn disagreements(sums: &Sums) -> Vec<String> {
    let id = &sums.account_id;
    let usd = NanoUsd::new;
    let balance = sums.available.saturating_add(sums.reserved);
    let mut told = Vec::new();
    if sums.entries != balance {
        let (entries, balance) = (usd(sums.entries), usd(balance));
        told.push(format!(
            "{id}: ledger entries sum to {entries} USD, but available and reserved to {balance} USD"
        ));
    }
    if sums.cards.saturating_sub(sums.debt) != balance {
        let (cards, debt, balance) = (usd(sums.cards), usd(sums.debt), usd(balance));
        told.push(format!(
            "{id}: cards hold {cards} USD and {debt} USD are owed, but available and reserved sum to {balance} USD"
        ));
    }
    if sums.holds != sums.reserved {
        let (holds, reserved) = (usd(sums.holds), usd(sums.reserved));
        told.push(format!(
            "{id}: holds sum to {holds} USD, but {reserved} USD are reserved"
        ));
    }
    if sums.debt > 0 && sums.cards > 0 {
        let (cards, debt) = (usd(sums.cards), usd(sums.debt));
        told.push(format!(
            "{id}: {debt} USD are owed although cards hold {cards} USD"
        ));
    }
    told
}

/// Ledger accounts that are neither an account's nor the instance's.
async fn strangers(store: &Store) -> Result<Vec<String>, StoreError> {
    let [issued, revenue, expired, forgiven] = System::ALL.map(System::as_str);
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
