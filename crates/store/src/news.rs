//! What has changed in a workspace since somebody looked: which sorts of things, never what they are now.

use domain::{AccountId, WorkspaceId};

use crate::Store;
use crate::error::StoreError;
use crate::statement::sql;

/// How many changes are told apart; of more it is said that there were more.
const MOST: i64 = 100;

/// Up to where somebody has looked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewsPlace {
    /// The last row of the audit log.
    pub audit: i64,
    /// The last change of what is served.
    pub revision: i64,
}

/// What is new behind a place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// Up to here it goes.
    pub place: NewsPlace,
    /// What was done in the workspace, by the names of the audit log; each once.
    pub actions: Vec<String>,
    /// Whether more was done than that.
    pub more: bool,
    /// Whether something that its account decides changed, in this workspace or elsewhere.
    pub account: bool,
    /// Whether something that the instance decides may have changed.
    pub instance: bool,
}

/// The place behind everything.
pub(crate) async fn end(store: &Store) -> Result<NewsPlace, StoreError> {
    let (revision, audit): (i64, i64) = store
        .db()
        .one(sql(
            "SELECT revision, audit_sequence FROM revision WHERE singleton = 1",
        ))
        .await?;
    Ok(NewsPlace { audit, revision })
}

/// What is new for a workspace of this account behind `since`.
pub(crate) async fn of_workspace(
    store: &Store,
    workspace: WorkspaceId,
    account: AccountId,
    since: NewsPlace,
) -> Result<News, StoreError> {
    // Read first: what comes meanwhile is told the next time.
    let place = end(store).await?;
    let mut news = News {
        place,
        ..News::default()
    };
    if place.audit != since.audit {
        let rows: Vec<(String,)> = store
            .db()
            .all(
                sql("SELECT action FROM audit
                     WHERE workspace_id = $1 AND sequence > $2 AND sequence <= $3 AND outcome = 'ok'
                     ORDER BY sequence DESC LIMIT $4")
                .bind(workspace)
                .bind(since.audit)
                .bind(place.audit)
                .bind(MOST),
            )
            .await?;
        news.more = rows.len() as i64 == MOST;
        news.actions = rows.into_iter().map(|(action,)| action).collect();
        news.actions.sort_unstable();
        news.actions.dedup();
    }
    if place.revision != since.revision {
        let rows: Vec<(Option<String>,)> = store
            .db()
            .all(
                sql("SELECT DISTINCT account_id FROM changes
                     WHERE revision > $1 AND revision <= $2
                       AND (account_id IS NULL OR account_id = $3) LIMIT 2")
                .bind(since.revision)
                .bind(place.revision)
                .bind(account),
            )
            .await?;
        news.instance = rows.iter().any(|(account,)| account.is_none());
        news.account = rows.iter().any(|(account,)| account.is_some());
    }
    Ok(news)
}
