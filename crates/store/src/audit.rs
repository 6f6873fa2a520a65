//! The audit log: who did what, when, and how it ended. Rows are added and never changed.

use std::fmt;
use std::sync::OnceLock;

use domain::{AccountId, ApiKeyId, Label, ProviderId, RequestId, Timestamp, UserId, WorkspaceId};

use crate::Store;
use crate::db::Tx;
use crate::error::{Place, StoreError};
use crate::page::{List, Page, PageRequest};
use crate::statement::{InOrder, sql};

/// Who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    /// A logged-in person.
    User(UserId),
    /// An API key, on its minter's behalf.
    ApiKey(ApiKeyId),
    /// The program itself: set-up, jobs, commands of the operator.
    System,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => id.fmt(f),
            Self::ApiKey(id) => id.fmt(f),
            Self::System => f.write_str("system"),
        }
    }
}

/// What an audit row says beside time, actor and place. The fields are all there is: nothing else gets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditNote {
    /// What was done: `provider_key.create`.
    pub action: &'static str,
    /// The provider of the key concerned.
    pub provider: Option<ProviderId>,
    /// The label of the key concerned.
    pub label: Option<Label>,
    /// The sealing key concerned.
    pub kek_id: Option<String>,
    /// The id of the thing concerned.
    pub subject: Option<String>,
    /// SHA-256 of the code that was written, in hex: of a script or a service.
    pub content_sha256: Option<String>,
    /// How it ended: `ok`, `refused`, `probe_failed`.
    pub outcome: &'static str,
    /// The request that asked for it.
    pub request: RequestId,
}

/// A row of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number: rises by one from row to row, over the whole instance.
    pub sequence: i64,
    /// When.
    pub at: Timestamp,
    /// The account concerned.
    pub account: Option<AccountId>,
    /// The workspace concerned.
    pub workspace: Option<WorkspaceId>,
    /// [`Actor`] as text: an id or `system`.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// The provider of the key concerned.
    pub provider: Option<ProviderId>,
    /// The label of the key concerned.
    pub label: Option<Label>,
    /// The sealing key concerned.
    pub kek_id: Option<String>,
    /// The id of the thing concerned.
    pub subject: Option<String>,
    /// SHA-256 of the code that was written, in hex: of a script or a service.
    pub content_sha256: Option<String>,
    /// How it ended.
    pub outcome: String,
    /// The request that asked for it.
    pub request: RequestId,
}

/// Who acts, and where.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) actor: Actor,
    pub(crate) account: Option<AccountId>,
    pub(crate) workspace: Option<WorkspaceId>,
}

#[derive(sqlx::FromRow)]
struct Stored {
    sequence: i64,
    at: i64,
    account_id: Option<String>,
    workspace_id: Option<String>,
    actor: String,
    action: String,
    provider: Option<String>,
    label: Option<String>,
    kek_id: Option<String>,
    subject: Option<String>,
    content_sha256: Option<String>,
    outcome: String,
    request_id: String,
}

/// Adds a row to the transaction of the change that it reports.
pub(crate) async fn insert(
    tx: &mut Tx,
    sequence: i64,
    origin: Origin,
    note: &AuditNote,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.run(
        sql(
            "INSERT INTO audit (sequence, at, account_id, workspace_id, actor, action,
                                provider, label, kek_id, subject, outcome, request_id,
                                content_sha256)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(sequence)
        .bind(now)
        .bind(origin.account)
        .bind(origin.workspace)
        .bind(origin.actor.to_string().as_str())
        .bind(note.action)
        .bind(note.provider.as_ref())
        .bind(note.label.as_ref())
        .bind(note.kek_id.as_deref())
        .bind(note.subject.as_deref())
        .bind(note.outcome)
        .bind(note.request)
        .bind(note.content_sha256.as_deref()),
    )
    .await?;
    Ok(())
}

/// Which rows of an audit log. What is left out narrows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// From this moment on.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
    /// Of this action, or of all whose names begin with it and a dot: `provider_key`.
    pub action: Option<String>,
    /// By this actor, as [`Actor`] is written.
    pub actor: Option<String>,
    /// About the thing with this id.
    pub subject: Option<String>,
}

/// Whose log.
#[derive(Clone, Copy)]
enum Log {
    Workspace(WorkspaceId),
    Account(AccountId),
    Instance,
}

/// The rows of a workspace that fit, newest first.
pub(crate) async fn of_workspace(
    store: &Store,
    workspace: WorkspaceId,
    filter: &AuditFilter,
    page: &PageRequest,
) -> Result<Page<AuditRow>, StoreError> {
    Log::Workspace(workspace).page(store, filter, page).await
}

/// The rows of an account that are not about one of its workspaces and fit, newest first.
pub(crate) async fn of_account(
    store: &Store,
    account: AccountId,
    filter: &AuditFilter,
    page: &PageRequest,
) -> Result<Page<AuditRow>, StoreError> {
    Log::Account(account).page(store, filter, page).await
}

/// The rows that are about the instance and nobody's account and fit, newest first.
pub(crate) async fn of_instance(
    store: &Store,
    filter: &AuditFilter,
    page: &PageRequest,
) -> Result<Page<AuditRow>, StoreError> {
    Log::Instance.page(store, filter, page).await
}

impl Log {
    async fn page(
        self,
        store: &Store,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditRow>, StoreError> {
        let (list, _, _) = self.facts();
        let mut statement = self.text(filter).statement();
        statement = match self {
            Self::Workspace(workspace) => statement.bind(workspace),
            Self::Account(account) => statement.bind(account),
            Self::Instance => statement,
        };
        statement = statement
            .bind(filter.from.map_or(i64::MIN, Timestamp::millis))
            .bind(filter.to.map_or(i64::MAX, Timestamp::millis));
        if let Some(subject) = &filter.subject {
            statement = statement.bind(subject);
        }
        if let Some(actor) = &filter.actor {
            statement = statement.bind(actor);
        }
        if let Some(action) = &filter.action {
            // What begins with `a.` lies between `a.` and `a/`, the character behind the dot.
            statement = statement
                .bind(action)
                .bind(&format!("{action}."))
                .bind(&format!("{action}/"));
        }
        let statement = statement
            .bind(list.place(page)?.unwrap_or(i64::MAX))
            .bind(page.rows());
        let rows = store.db().all(statement).await?;
        list.page(page, rows, read, |row| row.sequence.to_string())
    }

    /// The name in cursors, the condition, and the number among the logs.
    fn facts(self) -> (List, &'static str, usize) {
        match self {
            Self::Workspace(_) => (List("workspace_audit"), "workspace_id = $", 0),
            Self::Account(_) => {
                let condition = "account_id = $ AND workspace_id IS NULL";
                (List("account_audit"), condition, 1)
            }
            Self::Instance => (List("instance_audit"), "account_id IS NULL", 2),
        }
    }

    /// A statement with just the conditions that are asked for, so that a thing's rows are read by its index.
    fn text(self, filter: &AuditFilter) -> &'static InOrder {
        const CLAUSES: [&str; 3] = [
            " AND subject = $",
            " AND actor = $",
            " AND (action = $ OR (action >= $ AND action < $))",
        ];
        static TEXTS: [[OnceLock<InOrder>; 8]; 3] = [const { [const { OnceLock::new() }; 8] }; 3];
        let held = [
            filter.subject.is_some(),
            filter.actor.is_some(),
            filter.action.is_some(),
        ];
        let (_, log, number) = self.facts();
        let clauses = held
            .iter()
            .rev()
            .fold(0, |clauses, held| clauses << 1 | usize::from(*held));
        TEXTS[number][clauses].get_or_init(|| {
            let asked = CLAUSES.iter().zip(held).filter(|(_, held)| *held);
            let narrowed: String = asked.map(|(text, _)| *text).collect();
            let by_subject = matches!(self, Self::Workspace(_)) && filter.subject.is_some();
            let index = by_subject.then_some("audit_by_subject");
            let text = format!(
                "SELECT sequence, at, account_id, workspace_id, actor, action,
                        provider, label, kek_id, subject, content_sha256, outcome, request_id
                 FROM audit{{by}}
                 WHERE {log} AND at >= $ AND at < ${narrowed} AND sequence < $
                 ORDER BY sequence DESC LIMIT $"
            );
            InOrder::with_index(&text, index)
        })
    }
}

fn read(row: Stored) -> Result<AuditRow, StoreError> {
    let place = Place {
        table: "audit",
        id: &row.sequence.to_string(),
    };
    Ok(AuditRow {
        sequence: row.sequence,
        at: Timestamp::from_millis(row.at),
        account: place.parse_optional("account_id", row.account_id.as_deref())?,
        workspace: place.parse_optional("workspace_id", row.workspace_id.as_deref())?,
        provider: place.parse_optional("provider", row.provider.as_deref())?,
        label: place.parse_optional("label", row.label.as_deref())?,
        request: place.parse("request_id", &row.request_id)?,
        actor: row.actor,
        action: row.action,
        kek_id: row.kek_id,
        subject: row.subject,
        content_sha256: row.content_sha256,
        outcome: row.outcome,
    })
}
