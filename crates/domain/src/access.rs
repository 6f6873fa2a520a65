//! Who may do what: roles, scopes of API keys, and the one table of actions.
//!
//! Every operation of the API names one [`Action`]; [`Action::rule`] says what it takes. The golden file
//! `docs/authz.txt` is printed from this table, and the tests call every operation as every kind of caller.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A member's standing in a workspace. Later roles include the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Uses what the workspace offers.
    Member,
    /// Manages keys and members.
    Admin,
    /// Owns the workspace; exactly one.
    Owner,
}

impl Role {
    /// All roles, lowest first.
    pub const ALL: [Self; 3] = [Self::Member, Self::Admin, Self::Owner];

    /// The name in the API and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no role or scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a known {what}")]
pub struct UnknownName {
    what: &'static str,
}

impl FromStr for Role {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(UnknownName { what: "role" })
    }
}

macro_rules! api_scopes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// A right that an API key may carry. A key acts with its scopes cut by its minter's current role.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum ApiScope {$(
            $(#[$doc])*
            #[serde(rename = $text)]
            $name,
        )*}

        impl ApiScope {
            /// All scopes, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name in the API and in the store.
            pub const fn as_str(self) -> &'static str {
                match self {$(Self::$name => $text),*}
            }
        }
    };
}

api_scopes! {
    /// Call models.
    InferenceInvoke = "inference:invoke";
    /// Read workspaces.
    WorkspaceRead = "workspace:read";
    /// Change workspaces.
    WorkspaceWrite = "workspace:write";
    /// Read members and invitations.
    MembersRead = "members:read";
    /// Change members and invitations.
    MembersWrite = "members:write";
    /// List API keys.
    KeysRead = "keys:read";
    /// Mint and revoke API keys.
    KeysWrite = "keys:write";
    /// List provider keys.
    ByokRead = "byok:read";
    /// Add, change and remove provider keys.
    ByokWrite = "byok:write";
    /// Read scripts and services.
    ServicesRead = "services:read";
    /// Write scripts and services: code that runs on every machine that starts the workspace.
    ServicesWrite = "services:write";
    /// Have provider keys of a workspace handed out, sealed, to run programs with; in no set that is made by default.
    KeysRelease = "keys:release";
    /// Read who pays and which models stand behind names.
    PolicyRead = "policy:read";
    /// Change who pays and which models stand behind names.
    PolicyWrite = "policy:write";
    /// Read generation runs and their documents.
    RunsRead = "runs:read";
    /// Start, stop, share and delete generation runs.
    RunsWrite = "runs:write";
    /// Read credits, the ledger and limits.
    BillingRead = "billing:read";
    /// Read usage.
    UsageRead = "usage:read";
    /// Read the audit log.
    AuditRead = "audit:read";
    /// Read the instance's settings, plans and accounts; only for instance admins.
    InstanceRead = "instance:read";
    /// Change the instance's settings, platform keys, plans and credits; only for instance admins.
    InstanceWrite = "instance:write";
}

impl fmt::Display for ApiScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ApiScope {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .iter()
            .copied()
            .find(|scope| scope.as_str() == text)
            .ok_or(UnknownName { what: "scope" })
    }
}

/// What a caller must be for an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Anybody who is logged in.
    User,
    /// A member of the workspace with at least this role.
    Workspace(Role),
    /// The owner of the account.
    Account,
    /// An admin of the whole instance.
    Instance,
}

/// What an action takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// What the person must be.
    pub standing: Standing,
    /// The scope that lets an API key do it on the person's behalf; `None`: only a logged-in person.
    pub scope: Option<ApiScope>,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $standing:expr, $scope:expr;)*) => {
        /// Something that a caller may be allowed to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action {$(
            $(#[$doc])*
            $name,
        )*}

        impl Action {
            /// All actions, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name in the OpenAPI document (`x-action`) and in the golden table.
            pub const fn as_str(self) -> &'static str {
                match self {$(Self::$name => $text),*}
            }

            /// What it takes.
            pub const fn rule(self) -> Rule {
                match self {$(Self::$name => Rule { standing: $standing, scope: $scope }),*}
            }
        }
    };
}

actions! {
    /// See and end one's own sessions, see one's own profile and workspaces, create a workspace.
    UseOwnUser = "use_own_user", Standing::User, None;
    /// Create, list and suspend users, make them admins of the instance, and help them to a new password.
    ManageUsers = "manage_users", Standing::Instance, None;
    /// Rotate the sealing key, see its age.
    ManageSealingKey = "manage_sealing_key", Standing::Instance, None;
    /// Read the audit log of the instance.
    ReadInstanceAudit = "read_instance_audit", Standing::Instance, None;
    /// See the instance's settings, provider switches, plans and profiles.
    ReadInstanceSettings = "read_instance_settings", Standing::Instance, Some(ApiScope::InstanceRead);
    /// Change the instance's settings, provider switches and plans; apply a profile.
    WriteInstanceSettings = "write_instance_settings", Standing::Instance, Some(ApiScope::InstanceWrite);
    /// List platform keys.
    ReadPlatformKeys = "read_platform_keys", Standing::Instance, Some(ApiScope::InstanceRead);
    /// Add, change and remove platform keys.
    WritePlatformKeys = "write_platform_keys", Standing::Instance, Some(ApiScope::InstanceWrite);
    /// List accounts with their plans and credits.
    ReadAccounts = "read_accounts", Standing::Instance, Some(ApiScope::InstanceRead);
    /// Grant credits, change an account's plan and rate.
    WriteAccounts = "write_accounts", Standing::Instance, Some(ApiScope::InstanceWrite);
    /// See the account.
    ReadAccount = "read_account", Standing::Account, Some(ApiScope::WorkspaceRead);
    /// List the account's provider keys.
    ReadAccountProviderKeys = "read_account_provider_keys", Standing::Account, Some(ApiScope::ByokRead);
    /// Add, change and remove the account's provider keys.
    WriteAccountProviderKeys = "write_account_provider_keys", Standing::Account, Some(ApiScope::ByokWrite);
    /// Read the audit log of the account.
    ReadAccountAudit = "read_account_audit", Standing::Account, Some(ApiScope::AuditRead);
    /// See credits, the ledger, limits, plans and the account's usage.
    ReadBilling = "read_billing", Standing::Account, Some(ApiScope::BillingRead);
    /// See what new workspaces of the account start with.
    ReadAccountDefaults = "read_account_defaults", Standing::Account, Some(ApiScope::PolicyRead);
    /// Change what new workspaces of the account start with.
    WriteAccountDefaults = "write_account_defaults", Standing::Account, Some(ApiScope::PolicyWrite);
    /// See a workspace.
    ReadWorkspace = "read_workspace", Standing::Workspace(Role::Member), Some(ApiScope::WorkspaceRead);
    /// Rename a workspace.
    UpdateWorkspace = "update_workspace", Standing::Workspace(Role::Admin), Some(ApiScope::WorkspaceWrite);
    /// Delete a workspace with everything in it.
    DeleteWorkspace = "delete_workspace", Standing::Workspace(Role::Owner), None;
    /// List members and invitations.
    ReadMembers = "read_members", Standing::Workspace(Role::Member), Some(ApiScope::MembersRead);
    /// Invite, change and remove members.
    WriteMembers = "write_members", Standing::Workspace(Role::Admin), Some(ApiScope::MembersWrite);
    /// Leave a workspace.
    LeaveWorkspace = "leave_workspace", Standing::Workspace(Role::Member), None;
    /// List one's own API keys; admins see all.
    ReadApiKeys = "read_api_keys", Standing::Workspace(Role::Member), Some(ApiScope::KeysRead);
    /// Mint API keys and revoke one's own; admins revoke any.
    WriteApiKeys = "write_api_keys", Standing::Workspace(Role::Member), Some(ApiScope::KeysWrite);
    /// See which providers have a key; admins also see labels and masks.
    ReadProviderKeys = "read_provider_keys", Standing::Workspace(Role::Member), Some(ApiScope::ByokRead);
    /// Add, change and remove provider keys.
    WriteProviderKeys = "write_provider_keys", Standing::Workspace(Role::Admin), Some(ApiScope::ByokWrite);
    /// Have the workspace's provider keys handed out, sealed, where instance and workspace allow it.
    ReleaseProviderKeys = "release_provider_keys", Standing::Workspace(Role::Admin), Some(ApiScope::KeysRelease);
    /// See who pays, which models stand behind names, and which key would serve.
    ReadPolicy = "read_policy", Standing::Workspace(Role::Member), Some(ApiScope::PolicyRead);
    /// Change who pays and which models stand behind names.
    WritePolicy = "write_policy", Standing::Workspace(Role::Admin), Some(ApiScope::PolicyWrite);
    /// See the scripts and services of a workspace.
    ReadServices = "read_services", Standing::Workspace(Role::Member), Some(ApiScope::ServicesRead);
    /// Write scripts and services: code that runs on every machine that starts the workspace.
    WriteServices = "write_services", Standing::Workspace(Role::Admin), Some(ApiScope::ServicesWrite);
    /// Call models from a page, as the person who is logged in.
    UsePlayground = "use_playground", Standing::Workspace(Role::Member), None;
    /// Read the usage of a workspace: one's own calls; admins read everybody's.
    ReadUsage = "read_usage", Standing::Workspace(Role::Member), Some(ApiScope::UsageRead);
    /// Read the audit log of a workspace.
    ReadAudit = "read_audit", Standing::Workspace(Role::Admin), Some(ApiScope::AuditRead);
    /// See generation runs and their documents: one's own, and those that are shared with the workspace.
    ReadRuns = "read_runs", Standing::Workspace(Role::Member), Some(ApiScope::RunsRead);
    /// Start generation runs; cancel, retry, share and delete one's own. Admins cancel and delete what they see.
    WriteRuns = "write_runs", Standing::Workspace(Role::Member), Some(ApiScope::RunsWrite);
    /// Call models.
    Invoke = "invoke", Standing::Workspace(Role::Member), Some(ApiScope::InferenceInvoke);
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_parse_back() {
        for scope in ApiScope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(*scope));
        }
        let mut names: Vec<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Action::ALL.len());
    }

    #[test]
    fn higher_roles_include_lower_ones() {
        assert!(Role::Owner > Role::Admin && Role::Admin > Role::Member);
    }
}
