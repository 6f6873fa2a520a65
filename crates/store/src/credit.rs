//! Credits: balances made of cards, holds for running calls, and the double-entry ledger behind them.
//!
//! Each account has one row with what is `available`, `reserved` and owed. A call first moves its hold from
//! available to reserved, by one conditional statement; when it ends, its usage row is written and the hold is
//! settled in the same transaction, once. What time does by itself (included credits on the anchor day, cards
//! that lapse) is done by whoever next looks at the account after it is due.
//!
//! Every change goes through [`Book`], which holds the account's row lock, and is explained by a ledger
//! transaction whose entries sum to zero. Start reading at `book.rs`, then `hold.rs` and `settle.rs`.
//!
//! Locks are taken in this order: `revision`, accounts by id, usage rows by request, the rest.

mod book;
mod check;
mod fallback;
mod hold;
mod journal;
mod own;
mod reap;
mod settle;
mod view;

use domain::credits::{Card, CardKind, EntryKind, Overuse};
use domain::{AccountId, Decimal, NanoUsd, RequestId, Timestamp};

use crate::db::Tx;
use crate::error::StoreError;
use crate::statement::sql;
use crate::usage::UsageRow;

pub(crate) use book::Book;
pub(crate) use check::findings;
pub use fallback::ManagedFallback;
pub(crate) use fallback::note as note_fallback;
pub(crate) use hold::{forwarded, reserve};
pub(crate) use journal::of_account as ledger_of;
pub(crate) use reap::{leases, reap_node, reap_others, renew_lease};
pub(crate) use settle::settle;
pub(crate) use view::{card_with_reference, credits_of};

/// A lease is for so long by the clock of its node. Renew it well before.
pub const LEASE_MS: i64 = 15_000;

pub use domain::credits::MAX_CREDITS;

/// What a call asks for before it is forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewHold {
    /// The call. It has one hold at most.
    pub request: RequestId,
    /// Which node serves it: the name under which the node renews its lease.
    pub node: String,
    /// The most that the call is expected to be charged; 1 to [`MAX_CREDITS`].
    pub amount: NanoUsd,
    /// What becomes of the part of the charge that no card covers.
    pub overuse: Overuse,
    /// The usage row if the node dies, apart from how the call ended. Its account pays.
    pub row: UsageRow,
    /// What is charged if the node dies after the call was forwarded.
    pub interrupted: NanoUsd,
    /// `Some`: credits stand in for a failed own key, and what the workspace spends that way in one UTC month
    /// must not exceed this.
    pub fallback_cap: Option<NanoUsd>,
}

/// Whether a call may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reservation {
    /// The amount is held.
    Reserved,
    /// There is not enough.
    CreditsExhausted {
        /// What could be held; negative if more is held than there is.
        available: NanoUsd,
        /// What was asked for.
        needed: NanoUsd,
        /// When the next monthly credits come; `None`: the plan includes none.
        resets_at: Option<Timestamp>,
    },
    /// The workspace has spent what it may for failed own keys.
    FallbackCapReached {
        /// The cap.
        cap: NanoUsd,
        /// What is spent or held this month.
        spent: NanoUsd,
        /// When the next month begins.
        resets_at: Timestamp,
    },
}

/// A card to be granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCard {
    /// Where they come from. Included cards come from the plan: [`CardKind::Included`] is refused.
    pub kind: CardKind,
    /// How much; 1 to [`MAX_CREDITS`].
    pub amount: NanoUsd,
    /// When what is left of them lapses; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// What they are for, in the words of whoever grants them. The same reference is granted once.
    pub reference: Option<String>,
}

/// A card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardRow {
    /// Its number.
    pub id: i64,
    /// Where it comes from.
    pub kind: CardKind,
    /// What it was worth at first.
    pub granted: NanoUsd,
    /// What is left of it.
    pub remaining: NanoUsd,
    /// When it came.
    pub granted_at: Timestamp,
    /// When what is left of it lapses; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// What it is for.
    pub reference: Option<String>,
}

/// An account's credits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditsRow {
    /// What the next call may use; negative if more is held or owed than there is.
    pub available: NanoUsd,
    /// What is held for running calls.
    pub reserved: NanoUsd,
    /// What is owed; the next card repays it.
    pub debt: NanoUsd,
    /// What the live cards were worth at first.
    pub total: NanoUsd,
    /// What the plan includes each month.
    pub monthly: NanoUsd,
    /// When the next monthly credits come; `None`: the plan includes none.
    pub next_reset: Option<Timestamp>,
    /// What the account's charges are multiplied by.
    pub rate: Decimal,
    /// The live cards in the order in which they are spent: those with something left, and this month's included
    /// one even if nothing is.
    pub cards: Vec<CardRow>,
}

/// Which transactions of a ledger. What is left out narrows nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LedgerFilter {
    /// Of this kind.
    pub kind: Option<EntryKind>,
    /// From this moment on.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
}

/// A ledger transaction, as one account sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// Its number; later ones are greater.
    pub id: i64,
    /// When it happened.
    pub at: Timestamp,
    /// Why.
    pub kind: EntryKind,
    /// What it added to the account; negative: took from it.
    pub amount: NanoUsd,
    /// What there was after it, with what running calls held.
    pub balance: NanoUsd,
    /// The call.
    pub request: Option<RequestId>,
    /// The card's reference.
    pub reference: Option<String>,
    /// The card that came or lapsed.
    pub card: Option<i64>,
    /// Where that card came from.
    pub card_kind: Option<CardKind>,
    /// A word about it.
    pub note: String,
}

impl CardRow {
    fn of(card: Card, reference: Option<String>) -> Self {
        Self {
            id: card.id,
            kind: card.kind,
            granted: card.granted,
            remaining: card.remaining,
            granted_at: card.granted_at,
            expires_at: card.expires_at,
            reference,
        }
    }
}

/// Gives a new account its row, with `monthly` included credits. They come when somebody first looks.
pub(crate) async fn open_account(
    tx: &mut Tx,
    account: AccountId,
    monthly: NanoUsd,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.run(
        sql(
            "INSERT INTO credit_accounts (account_id, available, reserved, debt, monthly,
                                          anchor_at, next_event_at, rate)
             VALUES ($1, 0, 0, 0, $2, $3, 0, $4)",
        )
        .bind(account)
        .bind(monthly.nanos())
        .bind(now)
        .bind(Decimal::ONE.billionths()),
    )
    .await?;
    Ok(())
}

/// A new subscription: this month's included card lapses, a full one of `monthly` comes, and months count from
/// `now`.
pub(crate) async fn set_monthly(
    tx: &mut Tx,
    account: AccountId,
    monthly: NanoUsd,
    now: Timestamp,
) -> Result<(), StoreError> {
    if monthly < NanoUsd::ZERO || monthly > MAX_CREDITS {
        return Err(StoreError::Conflict("monthly credits are out of range"));
    }
    let mut book = Book::open(tx, account).await?;
    book.subscribe(tx, monthly, now).await?;
    book.save(tx).await
}

/// Grants an account a card, unless one with this reference was granted before. `false`: it was.
pub(crate) async fn grant(
    tx: &mut Tx,
    account: AccountId,
    new: &NewCard,
    now: Timestamp,
) -> Result<(CardRow, bool), StoreError> {
    if new.amount < NanoUsd::new(1) || new.amount > MAX_CREDITS {
        return Err(StoreError::Conflict("the amount to grant is out of range"));
    }
    // Locked before the look: of two grants with one reference the second finds the first.
    let mut book = Book::open(tx, account).await?;
    if let Some(reference) = &new.reference
        && let Some(card) = card_with_reference(tx, account, reference).await?
    {
        // The card itself never changes in these, merged or spent.
        if (card.granted, card.kind, card.expires_at) != (new.amount, new.kind, new.expires_at) {
            return Err(StoreError::Conflict(
                "this reference was granted with another amount, kind or expiry",
            ));
        }
        return Ok((card, false));
    }
    if new.expires_at.is_some_and(|expiry| expiry <= now) {
        return Err(StoreError::Conflict("the card would have lapsed already"));
    }
    let card = book.grant(tx, new, now).await?;
    book.save(tx).await?;
    Ok((CardRow::of(card, new.reference.clone()), true))
}

/// Sets what an account's charges are multiplied by.
pub(crate) async fn set_rate(
    tx: &mut Tx,
    account: AccountId,
    rate: Decimal,
) -> Result<(), StoreError> {
    let changed = tx
        .run(
            sql("UPDATE credit_accounts SET rate = $2 WHERE account_id = $1")
                .bind(account)
                .bind(rate.billionths()),
        )
        .await?;
    if changed == 0 {
        return Err(StoreError::NotFound);
    }
    Ok(())
}
