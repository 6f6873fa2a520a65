//! The calls of a workspace, one by one, narrowed down.

use std::sync::{LazyLock, OnceLock};

use domain::policy::KeySource;
use domain::{ApiKeyId, ProviderId, ProviderKeyId, RequestId, Timestamp, UserId, WorkspaceId};

use super::{Stored, UsageRow};
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
    let statement = filter.statement(workspace, (before.at, &before.request), page.rows());
    let rows = store.db().all(statement).await?;
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
            "SELECT {COLUMNS} FROM usage AS u CROSS JOIN usage_groups AS g
             WHERE g.id = u.group_id AND u.request_id = $ AND u.workspace_id = $ AND (g.user_id = $ OR 1 = $)"
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

/// The columns of [`Stored`].
const COLUMNS: &str = "u.request_id, u.at, g.account_id, u.workspace_id, g.api_key_id, g.user_id, g.wire_format, \
                       g.operation, g.model_requested, g.provider, g.model, g.key_source, g.provider_key_id, \
                       g.key_label, u.status, u.error_code, u.streamed, u.input_tokens, u.cached_input_tokens, \
                       u.cache_write_tokens, u.output_tokens, u.reasoning_tokens, u.latency_ms, u.first_byte_ms, \
                       u.request_bytes, u.response_bytes, u.upstream_status, u.cost, g.pricing, \
                       g.catalog_version, u.charge, u.attempts, u.fallback, g.key_scope";

/// What narrows a list down beside the time: whether it does, and the condition. In the order in which it is bound.
struct Clause {
    holds: fn(&UsageFilter) -> bool,
    text: &'static str,
}

/// What a call's group tells.
const OF_GROUPS: [Clause; 6] = [
    Clause {
        holds: |it| it.provider_key.is_some(),
        text: " AND g.provider_key_id = $ AND g.key_source = 'byok'",
    },
    Clause {
        holds: |it| it.api_key.is_some(),
        text: " AND g.api_key_id = $",
    },
    Clause {
        holds: |it| it.user.is_some(),
        text: " AND g.user_id = $",
    },
    Clause {
        holds: |it| it.model.is_some(),
        text: " AND g.model = $",
    },
    Clause {
        holds: |it| it.provider.is_some(),
        text: " AND g.provider = $",
    },
    Clause {
        holds: |it| it.key_source.is_some(),
        text: " AND g.key_source = $",
    },
];

/// What its own row tells.
const OF_CALLS: [Clause; 3] = [
    // Written out wherever it holds: the index is used where the text says so.
    Clause {
        holds: UsageFilter::is_of_failures,
        text: " AND u.status >= 400",
    },
    Clause {
        holds: |it| it.status == Some(StatusFilter::Ok),
        text: " AND u.status < 400",
    },
    Clause {
        holds: |it| it.exact_status().is_some(),
        text: " AND u.status = $",
    },
];

/// The rows of one group or workspace, by an index that has this order.
const NEWEST: &str =
    " AND (u.at, u.request_id) < ($, $) ORDER BY u.at DESC, u.request_id DESC LIMIT $";

impl UsageFilter {
    /// The same, of the calls of this person alone; `None`: they are another's, so there are none.
    pub(crate) fn of_person(mut self, person: Option<UserId>) -> Option<Self> {
        self.user = of_person(self.user, person)?;
        Some(self)
    }

    /// The newest calls before this one.
    pub(super) fn statement(
        &self,
        workspace: WorkspaceId,
        (at, request): (i64, &str),
        rows: i64,
    ) -> Statement {
        let mut statement = self.text().statement().bind(workspace);
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
        statement = statement
            .bind(self.from.map_or(i64::MIN, Timestamp::millis))
            .bind(self.to.map_or(i64::MAX, Timestamp::millis));
        if let Some(status) = self.exact_status() {
            statement = statement.bind(status);
        }
        statement = statement.bind(at).bind(request).bind(rows);
        match self.is_read_by_group() {
            true => statement.bind(rows),
            false => statement,
        }
    }

    /// A statement with just the conditions that are asked for: one for all would use no index but that of time.
    fn text(&self) -> &'static InOrder {
        const CLAUSES: usize = OF_GROUPS.len() + OF_CALLS.len();
        static TEXTS: [OnceLock<InOrder>; 1 << CLAUSES] = [const { OnceLock::new() }; 1 << CLAUSES];
        let all = OF_GROUPS.iter().chain(&OF_CALLS);
        let number = all.fold(0_usize, |number, clause| {
            number << 1 | usize::from((clause.holds)(self))
        });
        TEXTS[number].get_or_init(|| self.write_text())
    }

    fn write_text(&self) -> InOrder {
        let held = |clauses: &[Clause]| -> String {
            let held = clauses.iter().filter(|clause| (clause.holds)(self));
            held.map(|clause| clause.text).collect()
        };
        let (groups, calls) = (held(&OF_GROUPS), held(&OF_CALLS));
        if !self.is_read_by_group() {
            let index = match self.is_of_failures() {
                true => "usage_of_failures",
                false => "usage_by_workspace",
            };
            let text = format!(
                "SELECT {COLUMNS} FROM usage AS u{{by}} CROSS JOIN usage_groups AS g
                 WHERE g.id = u.group_id AND g.workspace_id = u.workspace_id AND u.workspace_id = ${groups} AND u.at >= $ AND u.at < ${calls}{NEWEST}"
            );
            return InOrder::with_index(&text, Some(index));
        }
        // The newest of each group, and of them the newest. Both engines read no more of a group than a page, each asked
        // in its own way: neither knows the other's.
        let of_group = format!("u.group_id = g.id AND u.at >= $ AND u.at < ${calls}{NEWEST}");
        let groups =
            format!("(SELECT * FROM usage_groups AS g WHERE g.workspace_id = ${groups}) AS g");
        let last = "ORDER BY c.at DESC, c.request_id DESC LIMIT $";
        let columns = COLUMNS.replace("u.", "c.");
        InOrder::by_engine(
            &format!(
                "SELECT {columns} FROM {groups} CROSS JOIN LATERAL (SELECT * FROM usage AS u WHERE {of_group}) AS c {last}"
            ),
            &format!(
                "SELECT {columns} FROM {groups} CROSS JOIN usage AS c
                 WHERE c.request_id IN (SELECT u.request_id FROM usage AS u INDEXED BY usage_by_group WHERE {of_group})
                 {last}"
            ),
        )
    }

    /// Failures are few, so that they are looked through; of others the groups are read.
    fn is_read_by_group(&self) -> bool {
        !self.is_of_failures() && OF_GROUPS.iter().any(|clause| (clause.holds)(self))
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
