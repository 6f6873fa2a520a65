//! Authorization: a principal and an action give a scope, or a denial.

use domain::access::{Action, ApiScope, Role, Standing};
use domain::{AccountId, UserId, WorkspaceId};

use crate::Store;
use crate::error::Place;
use crate::statement::sql;

use super::{AccountScope, Denied, InstanceScope, Principal, UserScope, WorkspaceScope};

impl Store {
    /// Whether `principal` may do `action` in `workspace`; asked anew at each request.
    ///
    /// # Errors
    /// - [`Denied::NotFound`]: not a member, or an API key of another workspace.
    /// - [`Denied::Forbidden`]: role or scope too low, suspended, or the action is not for API keys.
    /// - [`Denied::Store`]: the database did not answer.
    pub async fn authorize_workspace(
        &self,
        principal: &Principal,
        workspace: WorkspaceId,
        action: Action,
    ) -> Result<WorkspaceScope, Denied> {
        if let Principal::ApiKey { workspace: own, .. } = principal
            && *own != workspace
        {
            return Err(Denied::NotFound);
        }
        let user = principal.user();
        let standing: Option<(String, String, String, i64, i64)> = self
            .db()
            .optional(
                sql(
                    "SELECT m.role, w.account_id, a.owner_user, u.suspended, u.instance_admin
                     FROM members m
                     JOIN workspaces w ON w.id = m.workspace_id
                     JOIN accounts a ON a.id = w.account_id
                     JOIN users u ON u.id = m.user_id
                     WHERE m.workspace_id = $1 AND m.user_id = $2",
                )
                .bind(workspace)
                .bind(user),
            )
            .await?;
        let (role, account, owner_user, suspended, instance_admin) =
            standing.ok_or(Denied::NotFound)?;
        let id = workspace.to_string();
        let place = Place {
            table: "members",
            id: &id,
        };
        let role: Role = place.parse("role", &role)?;
        let account = place.parse("account_id", &account)?;
        let owner: UserId = place.parse("owner_user", &owner_user)?;
        refuse_suspended(suspended)?;
        match action.rule().standing {
            Standing::Workspace(least) if role >= least => {}
            Standing::Workspace(least) => return Err(forbidden(&format!("the role {least}"))),
            Standing::User | Standing::Account | Standing::Instance => {
                return Err(forbidden("another standing than a workspace gives"));
            }
        }
        refuse_narrow_key(principal, action)?;
        let held = match principal {
            Principal::Session { .. } => ApiScope::ALL,
            Principal::ApiKey { scopes, .. } => scopes,
        };
        Ok(WorkspaceScope {
            workspace,
            account,
            role,
            user,
            actor: principal.actor(),
            grantable: effective_scopes(held, role, owner == user, instance_admin != 0),
        })
    }

    /// Whether `principal` may do `action` on `account`: only its owner, or an API key that the owner
    /// minted in one of its workspaces.
    ///
    /// # Errors
    /// [`Denied::NotFound`] for everybody else; [`Denied::Forbidden`] as for workspaces.
    pub async fn authorize_account(
        &self,
        principal: &Principal,
        account: AccountId,
        action: Action,
    ) -> Result<AccountScope, Denied> {
        if let Principal::ApiKey { account: own, .. } = principal
            && *own != account
        {
            return Err(Denied::NotFound);
        }
        let user = principal.user();
        let owner: Option<(i64,)> = self
            .db()
            .optional(
                sql("SELECT u.suspended
                     FROM accounts a
                     JOIN users u ON u.id = a.owner_user
                     WHERE a.id = $1 AND a.owner_user = $2")
                .bind(account)
                .bind(user),
            )
            .await?;
        let (suspended,) = owner.ok_or(Denied::NotFound)?;
        refuse_suspended(suspended)?;
        if action.rule().standing != Standing::Account {
            return Err(forbidden("another standing than an account gives"));
        }
        refuse_narrow_key(principal, action)?;
        Ok(AccountScope {
            account,
            user,
            actor: principal.actor(),
        })
    }

    /// Whether `principal` may do `action` with what is its own.
    ///
    /// # Errors
    /// [`Denied::Forbidden`] for API keys and suspended people; [`Denied::NotFound`] for unknown ones.
    pub async fn authorize_user(
        &self,
        principal: &Principal,
        action: Action,
    ) -> Result<UserScope, Denied> {
        let (account, _) = self.person(principal.user()).await?;
        if action.rule().standing != Standing::User {
            return Err(forbidden("another standing than a log-in gives"));
        }
        match principal {
            Principal::Session { user, session } => Ok(UserScope {
                user: *user,
                account,
                session: *session,
            }),
            Principal::ApiKey { .. } => Err(forbidden("a log-in")),
        }
    }

    /// Whether `principal` may do `action` on the whole instance: only an instance admin, or an API key that one
    /// minted with the scope.
    ///
    /// # Errors
    /// [`Denied::Forbidden`] for everybody else; [`Denied::NotFound`] for unknown people.
    pub async fn authorize_instance(
        &self,
        principal: &Principal,
        action: Action,
    ) -> Result<InstanceScope, Denied> {
        let (_, instance_admin) = self.person(principal.user()).await?;
        if action.rule().standing != Standing::Instance || !instance_admin {
            return Err(forbidden("an instance admin"));
        }
        refuse_narrow_key(principal, action)?;
        Ok(InstanceScope {
            user: principal.user(),
            actor: principal.actor(),
        })
    }

    /// An active person's account, and whether the person is an instance admin.
    async fn person(&self, user: UserId) -> Result<(AccountId, bool), Denied> {
        let row: Option<(String, i64, i64)> = self
            .db()
            .optional(
                sql("SELECT a.id, u.instance_admin, u.suspended
                     FROM users u
                     JOIN accounts a ON a.owner_user = u.id
                     WHERE u.id = $1")
                .bind(user),
            )
            .await?;
        let (account, instance_admin, suspended) = row.ok_or(Denied::NotFound)?;
        refuse_suspended(suspended)?;
        let place = Place {
            table: "accounts",
            id: &account,
        };
        Ok((place.parse("id", &account)?, instance_admin != 0))
    }
}

/// What remains of `scopes` for somebody with this role, who owns the account or not and manages the instance or
/// not: a scope stays if it opens at least one action.
pub(crate) fn effective_scopes(
    scopes: &[ApiScope],
    role: Role,
    owns_account: bool,
    instance_admin: bool,
) -> Vec<ApiScope> {
    let opens = |scope: ApiScope| {
        Action::ALL.iter().any(|action| {
            let rule = action.rule();
            rule.scope == Some(scope)
                && match rule.standing {
                    Standing::Workspace(least) => role >= least,
                    Standing::Account => owns_account,
                    Standing::Instance => instance_admin,
                    Standing::User => false,
                }
        })
    };
    scopes
        .iter()
        .copied()
        .filter(|scope| opens(*scope))
        .collect()
}

fn forbidden(needs: &str) -> Denied {
    Denied::Forbidden {
        needs: needs.to_owned(),
    }
}

fn refuse_suspended(suspended: i64) -> Result<(), Denied> {
    if suspended == 0 {
        Ok(())
    } else {
        Err(forbidden("a user who is not suspended"))
    }
}

/// An API key needs the scope that the rule names; what names none takes a log-in.
fn refuse_narrow_key(principal: &Principal, action: Action) -> Result<(), Denied> {
    match (principal, action.rule().scope) {
        (Principal::Session { .. }, _) => Ok(()),
        (Principal::ApiKey { .. }, None) => Err(forbidden("a log-in")),
        (Principal::ApiKey { scopes, .. }, Some(scope)) if scopes.contains(&scope) => Ok(()),
        (Principal::ApiKey { .. }, Some(scope)) => Err(forbidden(&format!("the scope {scope}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_cut_by_the_role() {
        // T93
        let member = effective_scopes(ApiScope::ALL, Role::Member, false, false);
        assert!(member.contains(&ApiScope::InferenceInvoke));
        assert!(member.contains(&ApiScope::ByokRead));
        assert!(member.contains(&ApiScope::UsageRead), "of their own calls");
        for above in [
            ApiScope::ByokWrite,
            ApiScope::MembersWrite,
            ApiScope::WorkspaceWrite,
            ApiScope::AuditRead,
            ApiScope::PolicyWrite,
            ApiScope::ServicesWrite,
            ApiScope::BillingRead,
            ApiScope::InstanceRead,
            ApiScope::InstanceWrite,
        ] {
            assert!(!member.contains(&above), "{above}");
        }
        let admin = effective_scopes(ApiScope::ALL, Role::Admin, false, false);
        let beyond: Vec<ApiScope> = ApiScope::ALL
            .iter()
            .copied()
            .filter(|scope| !admin.contains(scope))
            .collect();
        assert_eq!(
            beyond,
            [
                ApiScope::BillingRead,
                ApiScope::InstanceRead,
                ApiScope::InstanceWrite
            ]
        );
        assert_eq!(
            effective_scopes(&[ApiScope::UsageRead], Role::Owner, true, true),
            [ApiScope::UsageRead]
        );
    }

    #[test]
    fn scopes_of_the_instance_stay_with_its_admins_alone() {
        let scopes = [ApiScope::InstanceRead, ApiScope::InstanceWrite];
        for role in Role::ALL {
            for owns_account in [false, true] {
                assert_eq!(effective_scopes(&scopes, role, owns_account, false), []);
                assert_eq!(effective_scopes(&scopes, role, owns_account, true), scopes);
            }
        }
    }

    #[test]
    fn an_account_owner_who_is_a_plain_member_keeps_the_scope_for_account_keys() {
        let scopes = effective_scopes(&[ApiScope::ByokWrite], Role::Member, true, false);
        assert_eq!(scopes, [ApiScope::ByokWrite]);
    }
}
