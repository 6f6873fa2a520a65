//! The calls of a workspace, one by one, narrowed down.

use std::sync::{LazyLock, OnceLock};

use domain::policy::KeySource;
use domain::{ApiKeyId, ProviderId, ProviderKeyId, RequestId, Timestamp, UserId, WorkspaceId};

use super::{COLUMNS, Stored, UsageRow};
use crate::Store;
use crate::error::StoreError;
use crate::page::{List, Page, PageRequest};
use crate::statement::{InOrder, Statement};

/// Which usage rows. What is left out narrows nothing.
#[derive(Debug, Clone, Default)]
pub struct UsageFilter {
    /// From this moment on.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
    /// Served by this provider last.
    pub provider: Option<ProviderId>,
    /// Of this model, by the provider's own name.
    pub model: Option<String>,
    /// Served by this own key; a key of the instance is nobody's to ask for.
    pub provider_key: Option<ProviderKeyId>,
    /// Called with this API key.
    pub api_key: Option<ApiKeyId>,
    /// Called with an API key of this person.
    pub user: Option<UserId>,
    /// Paid so.
    pub key_source: Option<KeySource>,
    /// With which end.
    pub status: Option<StatusFilter>,
}

/// How a call ended for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusFilter {
    /// With a status below 400.
    Ok,
    /// With a status of 400 or more.
    Failed,
    /// With this status.
    Exactly(i64),
}

/// The end of a page: rows are ordered by time, then by call.
struct Cursor {
    at: i64,
    request: String,
}

impl std::str::FromStr for Cursor {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let (at, request) = text.split_once('.').ok_or(StoreError::InvalidCursor)?;
        let request: RequestId = request.parse().map_err(|_| StoreError::InvalidCursor)?;
        Ok(Self {
            at: at.parse().map_err(|_| StoreError::InvalidCursor)?,
            request: request.to_string(),
        })
    }
}

/// The calls of a workspace that fit, newest first.
pub(crate) async fn of_workspace(
    store: &Store,
    workspace: WorkspaceId,
    filter: &UsageFilter,
    page: &PageRequest,
) -> Result<Page<UsageRow>, StoreError> {
    let list = List("usage");
    let before = list.place(page)?.unwrap_or(Cursor {
        at: i64::MAX,
        request: String::new(),
    });
    let statement = filter.bind(filter.text().statement().bind(workspace));
    let rows = store
        .db()
        .all(
            statement
                .bind(before.at)
                .bind(&before.request)
                .bind(page.rows()),
        )
        .await?;
    list.page(page, rows, Stored::read, |row| {
        format!("{}.{}", row.at.millis(), row.request)
    })
}

/// A call of a workspace, of this person alone where one is named.
pub(crate) async fn one_of_workspace(
    store: &Store,
    workspace: WorkspaceId,
    person: Option<UserId>,
    request: RequestId,
) -> Result<Option<UsageRow>, StoreError> {
    static TEXT: LazyLock<InOrder> = LazyLock::new(|| {
        InOrder::new(&format!(
            "SELECT {COLUMNS} FROM usage
             WHERE request_id = $ AND workspace_id = $ AND (user_id = $ OR 1 = $)"
        ))
    });
    let statement = TEXT
        .statement()
        .bind(request)
        .bind(workspace)
        .bind(person)
        .bind(person.is_none());
    let row: Option<Stored> = store.db().optional(statement).await?;
    row.map(Stored::read).transpose()
}

/// Whose calls a question for those of `asked` gets that may see those of `person` alone, where one is named; the outer
/// `None`: nobody's.
pub(super) fn of_person(asked: Option<UserId>, person: Option<UserId>) -> Option<Option<UserId>> {
    match (asked, person) {
        (Some(asked), Some(person)) if asked != person => None,
        (asked, person) => Some(person.or(asked)),
    }
}

/// What narrows a list down beside the time: whether it does, the condition, and the index that serves it. In the order in
/// which it is bound; the first that has an index is the one to read by, so the narrowest stand in front.
struct Clause {
    holds: fn(&UsageFilter) -> bool,
    text: &'static str,
    index: Option<&'static str>,
}

const CLAUSES: [Clause; 9] = [
    Clause {
        holds: |it| it.provider_key.is_some(),
        text: " AND provider_key_id = $ AND key_source = 'byok'",
        index: Some("usage_by_provider_key"),
    },
    Clause {
        holds: |it| it.api_key.is_some(),
        text: " AND api_key_id = $",
        index: Some("usage_by_api_key"),
    },
    Clause {
        holds: |it| it.user.is_some(),
        text: " AND user_id = $",
        index: Some("usage_by_user"),
    },
    Clause {
        holds: |it| it.model.is_some(),
        text: " AND model = $",
        index: Some("usage_by_model"),
    },
    // Written out wherever it holds: the index is used where the text says so.
    Clause {
        holds: UsageFilter::is_of_failures,
        text: " AND status >= 400",
        index: Some("usage_of_failures"),
    },
    Clause {
        holds: |it| it.provider.is_some(),
        text: " AND provider = $",
        index: Some("usage_by_provider"),
    },
    Clause {
        holds: |it| it.key_source.is_some(),
        text: " AND key_source = $",
        index: Some("usage_by_key_source"),
    },
    Clause {
        holds: |it| it.status == Some(StatusFilter::Ok),
        text: " AND status < 400",
        index: None,
    },
    Clause {
        holds: |it| it.exact_status().is_some(),
        text: " AND status = $",
        index: None,
    },
];

impl UsageFilter {
    /// The same, of the calls of this person alone; `None`: they are another's, so there are none.
    pub(crate) fn of_person(mut self, person: Option<UserId>) -> Option<Self> {
        self.user = of_person(self.user, person)?;
        Some(self)
    }

    /// A statement with just the conditions that are asked for: one for all would use no index but that of time.
    pub(super) fn text(&self) -> &'static InOrder {
        static TEXTS: [OnceLock<InOrder>; 1 << CLAUSES.len()] =
            [const { OnceLock::new() }; 1 << CLAUSES.len()];
        let number = CLAUSES.iter().rev().fold(0_usize, |number, clause| {
            number << 1 | usize::from((clause.holds)(self))
        });
        TEXTS[number].get_or_init(|| {
            let clauses = CLAUSES.iter().filter(|clause| (clause.holds)(self));
            let index = clauses.clone().find_map(|clause| clause.index);
            let narrowed: String = clauses.map(|clause| clause.text).collect();
            let text = format!(
                "SELECT {COLUMNS} FROM usage{{by}}
                 WHERE workspace_id = $ AND at >= $ AND at < ${narrowed} AND (at, request_id) < ($, $)
                 ORDER BY at DESC, request_id DESC LIMIT $"
            );
            InOrder::with_index(&text, index)
        })
    }

    pub(super) fn bind(&self, statement: Statement) -> Statement {
        let mut statement = statement
            .bind(self.from.map_or(i64::MIN, Timestamp::millis))
            .bind(self.to.map_or(i64::MAX, Timestamp::millis));
        if let Some(key) = self.provider_key {
            statement = statement.bind(key);
        }
        if let Some(key) = self.api_key {
            statement = statement.bind(key);
        }
        if let Some(user) = self.user {
            statement = statement.bind(user);
        }
        if let Some(model) = &self.model {
            statement = statement.bind(model);
        }
        if let Some(provider) = &self.provider {
            statement = statement.bind(provider);
        }
        if let Some(source) = self.key_source {
            statement = statement.bind(source.as_str());
        }
        match self.exact_status() {
            Some(status) => statement.bind(status),
            None => statement,
        }
    }

    fn exact_status(&self) -> Option<i64> {
        match self.status {
            Some(StatusFilter::Exactly(status)) => Some(status),
            _ => None,
        }
    }

    fn is_of_failures(&self) -> bool {
        match self.status {
            Some(StatusFilter::Failed) => true,
            Some(StatusFilter::Exactly(status)) => status >= 400,
            Some(StatusFilter::Ok) | None => false,
        }
    }
}
