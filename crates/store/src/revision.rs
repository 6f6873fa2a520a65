//! What has changed, and since when: the counter that every change of served rows moves.

use std::sync::{PoisonError, RwLock};

use domain::{AccountId, IdMap, Timestamp};
use tokio::time::Instant;

use crate::Store;
use crate::audit::{self, AuditNote, Origin};
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::statement::sql;

/// Above this many accounts the list of changed ones is folded into one change of everything.
const MAX_ACCOUNTS: usize = 10_000;
/// How many changes one query of a poll reads.
const POLL_ROWS: i64 = 1_000;

/// One entry of the list of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    /// Its number; they rise by one.
    revision: i64,
    /// The account whose rows changed; `None`: possibly everybody's.
    account: Option<AccountId>,
}

/// What this process knows of changes, in memory.
///
/// A view of an account's rows that was loaded when [`Revisions::latest`] was `r` is still good while
/// [`Revisions::floor`] of the account is at most `r`.
pub struct Revisions(RwLock<Known>);

struct Known {
    latest: i64,
    /// Up to here the list was read without a gap; own changes move `latest` alone.
    polled: i64,
    everybody: i64,
    accounts: IdMap<AccountId, i64>,
    synced_at: Instant,
}

impl Revisions {
    /// The number of the last change that touched the account's rows, or the whole instance.
    pub fn floor(&self, account: AccountId) -> i64 {
        self.read(|known| {
            let own = known.accounts.get(&account).copied().unwrap_or(0);
            own.max(known.everybody)
        })
    }

    /// The number of the last change that touched the whole instance.
    pub fn everybody(&self) -> i64 {
        self.read(|known| known.everybody)
    }

    /// The highest change that this process knows of. Read it before loading a view.
    pub fn latest(&self) -> i64 {
        self.read(|known| known.latest)
    }

    /// When the list of changes was last read from the database.
    pub fn synced_at(&self) -> Instant {
        self.read(|known| known.synced_at)
    }

    /// Begins with everything as of `revision`.
    pub(crate) fn starting_at(revision: i64) -> Self {
        Self(RwLock::new(Known {
            latest: revision,
            polled: revision,
            everybody: revision,
            accounts: IdMap::default(),
            synced_at: Instant::now(),
        }))
    }

    fn read<T>(&self, read: impl FnOnce(&Known) -> T) -> T {
        read(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, write: impl FnOnce(&mut Known) -> T) -> T {
        write(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    fn apply(&mut self, change: Change) {
        self.latest = self.latest.max(change.revision);
        match change.account {
            None => self.everybody = self.everybody.max(change.revision),
            Some(account) => {
                let known = self.accounts.entry(account).or_default();
                *known = (*known).max(change.revision);
            }
        }
        if self.accounts.len() > MAX_ACCOUNTS {
            self.accounts.clear();
            self.everybody = self.latest;
        }
    }

    /// Takes what a poll read. A gap means that older entries were pruned: then anything may have changed.
    fn take(&mut self, changes: &[Change]) {
        for change in changes {
            let gap = change.revision > self.polled + 1;
            self.apply(Change {
                account: change.account.filter(|_| !gap),
                ..*change
            });
            self.polled = self.polled.max(change.revision);
        }
    }
}

/// What a transaction changes of the rows that the data plane serves.
#[derive(Clone, Copy)]
pub(crate) enum Affects {
    /// Nothing that is served.
    Nothing,
    /// Rows of one account and its workspaces.
    Account(AccountId),
    /// Possibly everybody's rows.
    Everybody,
}

/// A change on its way: it commits with its audit rows, mostly one, and its revision, or not at all.
///
/// It begins by locking the one row of `revision`, so changes run one after the other on both engines, and
/// what a change reads stays true until it commits.
pub(crate) struct Writing<'a> {
    store: &'a Store,
    pub(crate) tx: Tx,
    numbered: Vec<Change>,
}

impl Store {
    /// Begins a change.
    pub(crate) async fn writing(&self) -> Result<Writing<'_>, StoreError> {
        let mut tx = self.db().begin().await?;
        // An update that changes nothing: the lock that both engines know.
        tx.run(sql(
            "UPDATE revision SET revision = revision WHERE singleton = 1",
        ))
        .await?;
        Ok(Writing {
            store: self,
            tx,
            numbered: Vec::new(),
        })
    }

    /// Reads the changes that other processes made; a job calls this each second.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: nothing was read and [`Revisions::synced_at`] stays where it is.
    pub async fn poll_changes(&self) -> Result<(), StoreError> {
        loop {
            let started_at = Instant::now();
            let polled = self.revision().read(|known| known.polled);
            let changes = self.changes_since(polled).await?;
            let full = changes.len() as i64 == POLL_ROWS;
            self.revision().write(|known| {
                known.take(&changes);
                if !full {
                    known.synced_at = started_at;
                }
            });
            if !full {
                return Ok(());
            }
        }
    }

    /// The changes after `revision`, oldest first, at most 1000.
    async fn changes_since(&self, revision: i64) -> Result<Vec<Change>, StoreError> {
        let rows: Vec<(i64, Option<String>)> = self
            .db()
            .all(
                sql("SELECT revision, account_id FROM changes
                     WHERE revision > $1 ORDER BY revision LIMIT $2")
                .bind(revision)
                .bind(POLL_ROWS),
            )
            .await?;
        rows.into_iter()
            .map(|(revision, account)| {
                let place = Place {
                    table: "changes",
                    id: &revision.to_string(),
                };
                let account = place.parse_optional("account_id", account.as_deref())?;
                Ok(Change { revision, account })
            })
            .collect()
    }
}

impl Writing<'_> {
    /// Says that the change affects what is served of this account, beside what it is committed with.
    pub(crate) async fn affects_also(&mut self, account: AccountId) -> Result<(), StoreError> {
        let change = self.number(Some(account)).await?;
        self.numbered.push(change);
        Ok(())
    }

    /// Commits the change with its audit row and, if it affects what is served, its revision.
    pub(crate) async fn commit(
        self,
        affects: Affects,
        origin: Origin,
        note: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.commit_all(affects, origin, std::slice::from_ref(note), now)
            .await
    }

    /// As [`Writing::commit`], for a change of several things: an audit row for each, in the order of `notes`.
    pub(crate) async fn commit_all(
        mut self,
        affects: Affects,
        origin: Origin,
        notes: &[AuditNote],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for note in notes {
            self.note(origin, note, now).await?;
        }
        self.commit_unaudited(affects).await
    }

    /// Adds an audit row to the change, beside those with which it is committed: for what another log should have, too.
    pub(crate) async fn note(
        &mut self,
        origin: Origin,
        note: &AuditNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (sequence,): (i64,) = self
            .tx
            .one(sql(
                "UPDATE revision SET audit_sequence = audit_sequence + 1
                      WHERE singleton = 1 RETURNING audit_sequence",
            ))
            .await?;
        audit::insert(&mut self.tx, sequence, origin, note, now).await
    }

    /// Commits a change that is no event of its own: making and re-wrapping keys, the deployment's first record.
    pub(crate) async fn commit_unaudited(mut self, affects: Affects) -> Result<(), StoreError> {
        let change = match affects {
            Affects::Nothing => None,
            Affects::Account(account) => Some(self.number(Some(account)).await?),
            Affects::Everybody => Some(self.number(None).await?),
        };
        self.numbered.extend(change);
        self.tx.commit().await?;
        let revisions = self.store.revision();
        revisions.write(|known| self.numbered.iter().for_each(|change| known.apply(*change)));
        Ok(())
    }

    async fn number(&mut self, account: Option<AccountId>) -> Result<Change, StoreError> {
        let (revision,): (i64,) = self
            .tx
            .one(sql("UPDATE revision SET revision = revision + 1
                      WHERE singleton = 1 RETURNING revision"))
            .await?;
        self.tx
            .run(
                sql("INSERT INTO changes (revision, account_id) VALUES ($1, $2)")
                    .bind(revision)
                    .bind(account),
            )
            .await?;
        Ok(Change { revision, account })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: AccountId = AccountId::from_bytes([1; 16]);
    const B: AccountId = AccountId::from_bytes([2; 16]);

    fn change(revision: i64, account: Option<AccountId>) -> Change {
        Change { revision, account }
    }

    #[test]
    fn a_change_moves_only_its_account() {
        let revisions = Revisions::starting_at(4);
        revisions.write(|known| known.take(&[change(5, Some(A))]));
        assert_eq!((revisions.floor(A), revisions.floor(B)), (5, 4));
        revisions.write(|known| known.take(&[change(6, None)]));
        assert_eq!((revisions.floor(A), revisions.floor(B)), (6, 6));
    }

    #[test]
    fn an_own_change_does_not_hide_anothers_earlier_one() {
        let revisions = Revisions::starting_at(4);
        revisions.write(|known| known.apply(change(6, Some(A))));
        assert_eq!(revisions.latest(), 6);
        revisions.write(|known| known.take(&[change(5, Some(B)), change(6, Some(A))]));
        assert_eq!((revisions.floor(A), revisions.floor(B)), (6, 5));
    }

    #[test]
    fn a_gap_counts_as_a_change_of_everything() {
        let revisions = Revisions::starting_at(4);
        revisions.write(|known| known.take(&[change(9, Some(A))]));
        assert_eq!(revisions.floor(B), 9);
    }
}
