//! Credits as the instance sees them: leases, dead nodes, grants, the check of the ledger.

use domain::credits::CardKind;
use domain::{AccountId, Decimal, Timestamp};

use crate::audit::{AuditNote, Origin};
use crate::credit::{self, CardRow, CreditsRow, NewCard};
use crate::error::StoreError;
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

    /// The nodes that have holds, each with the end of its lease by the node's own clock; `None`: it has no lease.
    ///
    /// Clocks of nodes differ, so the value means nothing but that the node lives as long as it changes.
    ///
    /// # Errors
    /// As every function here.
    pub async fn leases(&self) -> Result<Vec<(String, Option<Timestamp>)>, StoreError> {
        credit::leases(self.store).await
    }

    /// Settles the holds of a node that is dead, and says how many.
    ///
    /// Each such call gets its usage row, with the code `interrupted` and the status 499. If it was forwarded, it
    /// is charged what its hold says, and tokens, cost and pricing are those of the hold's row; otherwise it has
    /// consumed nothing, and the row names none of them.
    ///
    /// # Errors
    /// As every function here.
    pub async fn reap_node(&self, node: &str, now: Timestamp) -> Result<u64, StoreError> {
        credit::reap_node(self.store, node, now).await
    }

    /// As [`System::reap_node`], of all nodes but `node`: where it is known that no other lives.
    ///
    /// # Errors
    /// As every function here.
    pub async fn reap_others(&self, node: &str, now: Timestamp) -> Result<u64, StoreError> {
        credit::reap_others(self.store, node, now).await
    }

    /// Grants credits to an account. `false`: a card with this reference was granted before, and nothing changes.
    ///
    /// # Errors
    /// - [`StoreError::NotFound`]: there is no such account.
    /// - [`StoreError::Conflict`]: the reference was granted with another amount, kind or expiry, the amount is out of
    ///   range, the card would have lapsed already, or it is one that only a plan gives; or the admin is none any more.
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
        let mut writing = self.changing(scope).await?;
        let (row, new) = credit::grant(&mut writing.tx, account, card, now).await?;
        if new {
            let origin = of_account(scope, account);
            // What serves is the same; whoever looks at the account is told.
            let affects = Affects::Account(account);
            writing.commit(affects, origin, audit, now).await?;
        }
        Ok((row, new))
    }

    /// Sets what an account's charges are multiplied by.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Conflict`]: the admin is none any more.
    pub async fn set_rate(
        &self,
        scope: &InstanceScope,
        account: AccountId,
        rate: Decimal,
        audit: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut writing = self.changing(scope).await?;
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
