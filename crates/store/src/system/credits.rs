//! Credits as the instance sees them: leases, dead nodes, grants, the check of the ledger.

use domain::credits::CardKind;
use domain::{AccountId, Decimal, NanoUsd, Timestamp};

use crate::audit::{AuditNote, Origin};
use crate::credit::{self, CardRow, CreditsRow, LedgerRow, NewCard};
use crate::error::StoreError;
use crate::page::{Page, PageRequest};
use crate::revision::Affects;
use crate::scope::InstanceScope;
use crate::system::System;

impl System<'_> {
    /// Lengthens a node's lease by [`LEASE_MS`](crate::LEASE_MS) from `now`, and says whether it had not lapsed.
    ///
    /// A node whose lease has lapsed may find that others have settled its calls.
    ///
    /// # Errors
    /// As every function here.
    pub async fn renew_lease(&self, node: &str, now: Timestamp) -> Result<bool, StoreError> {
        credit::renew_lease(self.store, node, now).await
    }

    /// Settles the holds of nodes other than `node` whose lease ended more than 15 seconds ago, and says how
    /// many. `everybody_else`: of all other nodes, where it is known that none lives.
    ///
    /// Each such call gets its usage row, with the code `interrupted` and the status 499. If it was forwarded, it
    /// is charged what its hold says, and tokens, cost and pricing are those of the hold's row; otherwise it has
    /// consumed nothing, and the row names none of them.
    ///
    /// # Errors
    /// As every function here.
    pub async fn reap_holds(
        &self,
        node: &str,
        everybody_else: bool,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        credit::reap(self.store, node, everybody_else, now).await
    }

    /// Gives credits to an account. `false`: a card with this reference was given before, and nothing changes.
    ///
    /// # Errors
    /// - [`StoreError::NotFound`]: there is no such account.
    /// - [`StoreError::Conflict`]: the reference was given with another amount, kind or expiry, the amount is out of
    ///   range, the card would have lapsed already, or it is one that only a plan gives.
    pub async fn grant_credits(
        &self,
        scope: &InstanceScope,
        account: AccountId,
        card: &NewCard,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(CardRow, bool), StoreError> {
        if card.kind == CardKind::Included {
            return Err(StoreError::Conflict("included credits come with the plan"));
        }
        let mut writing = self.store.writing().await?;
        let (row, new) = credit::give(&mut writing.tx, account, card, now).await?;
        if new {
            let origin = of_account(scope, account);
            writing.commit(Affects::Nothing, origin, audit, now).await?;
        }
        Ok((row, new))
    }

    /// Begins a new subscription of an account: this month's included card lapses, a full one of `monthly` comes,
    /// and months count from `now`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Conflict`]: the amount is out of range.
    pub async fn set_monthly(
        &self,
        scope: &InstanceScope,
        account: AccountId,
        monthly: NanoUsd,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut writing = self.store.writing().await?;
        credit::set_monthly(&mut writing.tx, account, monthly, now).await?;
        let origin = of_account(scope, account);
        writing.commit(Affects::Nothing, origin, audit, now).await
    }

    /// Sets what an account's charges are multiplied by.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn set_rate(
        &self,
        scope: &InstanceScope,
        account: AccountId,
        rate: Decimal,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut writing = self.store.writing().await?;
        credit::set_rate(&mut writing.tx, account, rate).await?;
        let origin = of_account(scope, account);
        let affects = Affects::Account(account);
        writing.commit(affects, origin, audit, now).await
    }

    /// An account's credits as of `now`. Does first what is due by then.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn account_credits(
        &self,
        _scope: &InstanceScope,
        account: AccountId,
        now: Timestamp,
    ) -> Result<CreditsRow, StoreError> {
        credit::credits_of(self.store, account, now).await
    }

    /// An account's ledger, newest first; of an account that does not exist, nothing.
    ///
    /// # Errors
    /// [`StoreError::InvalidCursor`].
    pub async fn account_ledger(
        &self,
        _scope: &InstanceScope,
        account: AccountId,
        page: &PageRequest,
    ) -> Result<Page<LedgerRow>, StoreError> {
        credit::ledger_of(self.store, account, page).await
    }

    /// Checks the ledger against balances, cards, holds and usage, and says what does not agree; nothing, if all
    /// is well. Reads all of it: for `doctor`, not for requests.
    ///
    /// # Errors
    /// As every function here.
    pub async fn check_ledger(&self) -> Result<Vec<String>, StoreError> {
        credit::findings(self.store).await
    }
}

fn of_account(scope: &InstanceScope, account: AccountId) -> Origin {
    Origin {
        account: Some(account),
        ..scope.origin()
    }
}
