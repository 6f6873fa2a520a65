//! Durable rows: everything that Keybearer keeps, on SQLite or PostgreSQL, through one SQL text.
//!
//! Four doors lead in. [`Store::within`], [`Store::within_account`] and [`Store::own`] take a scope that only
//! the `authorize_*` functions mint, so a forgotten check does not compile. [`Store::serving`] is the data
//! plane's: it writes no configuration. [`Store::system`] is for log-in, set-up and jobs, and easy to search for.
//!
//! Each change that somebody asks for commits together with its audit row and, where the data plane serves what
//! changed, with a new revision ([`Revisions`]). The store never sees a key in plain text and knows no provider's formats.
//!
//! Start reading at `scope.rs` and `scope/authorize.rs` (who may reach what) and `revision.rs` (how a change commits).

mod account;
mod api_key;
mod audit;
mod credit;
mod data_key;
mod db;
mod defaults;
mod deployment;
mod device_login;
mod error;
mod invitation;
mod kept;
mod limit;
mod member;
mod migrate;
mod news;
mod own;
mod page;
mod password_link;
mod plan;
mod policy;
mod provider_key;
mod provider_key_row;
mod removed_key;
mod revision;
mod run;
mod scope;
mod script;
mod sealed_box;
mod sealing_key;
mod service;
mod serving;
mod session;
mod settings;
mod statement;
mod system;
mod usage;
mod user;
mod within;
mod workspace;

use std::sync::Arc;

use domain::Timestamp;

use db::open::Schema;

pub use account::AccountRow;
pub use api_key::{ApiKeyRow, NewApiKey};
pub use audit::{Actor, AuditFilter, AuditNote, AuditRow};
pub use credit::{
    CardRow, CreditsRow, LEASE_MS, LedgerFilter, LedgerRow, MAX_CREDITS, ManagedFallback, NewCard,
    NewHold, Reservation,
};
pub use defaults::DefaultsRow;
pub use device_login::{DeviceLoginRow, MAX_DEVICE_LOGINS, NewDeviceLogin};
pub use error::{DatabaseError, OpenError, StoreError};
pub use invitation::{AcceptBy, InvitationRow, NewInvitation};
pub use kept::Made;
pub use limit::ResourceUse;
pub use member::MemberRow;
pub use news::{News, NewsPlace};
pub use own::Own;
pub use page::{MAX_PAGE_ITEMS, Page, PageRequest};
pub use password_link::NewPasswordLink;
pub use plan::SubscriptionRow;
pub use policy::PolicyRow;
pub use provider_key::{Expect, KeyChange, KeyHealth, Leaving, MAX_PROVIDER_KEYS, ProviderKeys};
pub use revision::Revisions;
pub use run::{
    Claimed, LeaseSeen, MAX_OPEN_RUNS, MAX_RESULT_BYTES, MAX_RUNS, NewRun, Piece, RunLease,
    RunPart, RunResult, RunRow,
};
pub use scope::{AccountScope, Denied, InstanceScope, Principal, UserScope, WorkspaceScope};
pub use script::ScriptRow;
pub use service::ServiceRow;
pub use serving::{CallerRecord, InstanceRecord, Serving};
pub use session::{NewSession, SessionRow};
pub use system::{AccountSummary, System};
pub use usage::{
    AttemptRow, MAX_USAGE_GROUPS, MAX_WORKSPACES, StatusFilter, SumsRequest, UsageDimension,
    UsageFilter, UsageGroup, UsageOfDay, UsageOfWorkspace, UsageRow, UsageSummary, UsageSums,
};
pub use user::{NewUser, UserRow};
pub use within::{Payer, Within, WithinAccount};
pub use workspace::{NewWorkspace, WorkspaceRow};

/// An open database. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    db: db::Db,
    revisions: Revisions,
    usage_groups: usage::Groups,
}

impl Store {
    /// Opens the database that `url` names and brings its schema up to date.
    ///
    /// `url`: `sqlite:///absolute/path.db` (the file is made, or left, readable by its owner alone; its folder
    /// must exist; one process at a time) or `postgres://...` as the driver takes it.
    ///
    /// # Errors
    /// [`OpenError`], by what to do about it. No error quotes the URL, which may hold a password.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let store = Self::of(db::open::open(url, Schema::Update).await?).await?;
        match plan::seed(&store).await {
            Ok(()) => Ok(store),
            Err(StoreError::Unavailable(error)) => Err(OpenError::Unavailable(error)),
            Err(other) => Err(OpenError::Migration(other.to_string())),
        }
    }

    /// Opens a database that was opened with [`Store::open`] before: makes none and migrates nothing.
    ///
    /// For commands beside the server. On SQLite that means without a running server: the file has one
    /// process at a time here, too.
    ///
    /// # Errors
    /// As [`Store::open`], and [`OpenError::NeverStarted`], [`OpenError::OlderSchema`].
    pub async fn open_existing(url: &str) -> Result<Self, OpenError> {
        Self::of(db::open::open(url, Schema::Require).await?).await
    }

    async fn of(db: db::Db) -> Result<Self, OpenError> {
        let revision = db
            .one(statement::sql(
                "SELECT revision FROM revision WHERE singleton = 1",
            ))
            .await;
        let revision = match revision {
            Ok((revision,)) => revision,
            Err(StoreError::Unavailable(error)) => return Err(OpenError::Unavailable(error)),
            Err(other) => return Err(OpenError::Migration(other.to_string())),
        };
        Ok(Self(Arc::new(Inner {
            db,
            revisions: Revisions::starting_at(revision),
            usage_groups: usage::Groups::default(),
        })))
    }

    /// The door without a scope: set-up, log-in, jobs, doctor. What it does is audited as the program's doing.
    pub fn system(&self) -> System<'_> {
        System::new(self, Actor::System)
    }

    /// One workspace, as far as `scope` reaches.
    pub fn within<'a>(&'a self, scope: &'a WorkspaceScope) -> Within<'a> {
        Within::new(self, scope)
    }

    /// One account's own things.
    pub fn within_account<'a>(&'a self, scope: &'a AccountScope) -> WithinAccount<'a> {
        WithinAccount::new(self, scope)
    }

    /// A logged-in person's own things.
    pub fn own<'a>(&'a self, scope: &'a UserScope) -> Own<'a> {
        Own::new(self, scope)
    }

    /// The data plane's door: reads callers and keys, writes usage and key health.
    pub fn serving(&self) -> Serving<'_> {
        Serving::new(self)
    }

    /// Whether no other process can have this database open: so it is with SQLite, whose file is locked.
    pub fn is_exclusive(&self) -> bool {
        matches!(self.db(), db::Db::Sqlite { .. })
    }

    /// What has changed, as far as this process knows.
    pub fn revision(&self) -> &Revisions {
        &self.0.revisions
    }

    /// Closes the database after the running statements. Later calls fail as unavailable.
    pub async fn close(&self) {
        self.0.db.close().await;
    }

    fn db(&self) -> &db::Db {
        &self.0.db
    }

    fn usage_groups(&self) -> &usage::Groups {
        &self.0.usage_groups
    }
}

/// The number of the newest migration that this program knows.
pub fn schema_version() -> i64 {
    migrate::newest()
}

/// Writes a column of JSON.
fn json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value)
        .expect("no map of it has keys that are not texts, and no type fails")
}

/// Reads an optional column of milliseconds.
fn moment(millis: Option<i64>) -> Option<Timestamp> {
    millis.map(Timestamp::from_millis)
}
