//! The golden table: every operation times every kind of caller, from the OpenAPI document and the rules.

use std::fmt::Write as _;

use domain::access::{Action, Role, Standing};

use crate::openapi::{action, openapi, operations};

/// The kinds of callers, as columns. "Other user": logged in, and neither member nor owner of what the
/// path names; the owner of the workspace owns its account, too.
pub(crate) const CALLERS: [Caller; 8] = [
    Caller::Anonymous,
    Caller::OtherUser,
    Caller::Role(Role::Member),
    Caller::Role(Role::Admin),
    Caller::Role(Role::Owner),
    Caller::InstanceAdmin,
    Caller::ApiKey,
    Caller::AdminKey,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    Anonymous,
    OtherUser,
    Role(Role),
    InstanceAdmin,
    /// An API key of the owner that has every scope which the owner can give.
    ApiKey,
    /// An API key with every scope, of an instance admin in a workspace of their own.
    AdminKey,
}

impl Caller {
    fn is_key(self) -> bool {
        matches!(self, Self::ApiKey | Self::AdminKey)
    }

    fn title(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::OtherUser => "other user",
            Self::Role(role) => role.as_str(),
            Self::InstanceAdmin => "instance admin",
            Self::ApiKey => "API key of the owner",
            Self::AdminKey => "API key of an instance admin",
        }
    }
}

/// Prints the table for `docs/authz.txt`: for each operation and caller `yes`, the scope that an API key
/// needs, or the status of the refusal.
pub fn authz_table() -> String {
    let document = openapi();
    let mut rows = vec![{
        let mut row = vec!["operation".to_owned(), "action".to_owned()];
        row.extend(CALLERS.map(|caller| caller.title().to_owned()));
        row
    }];
    for (path, item) in &document.paths.paths {
        for (method, operation) in operations(item) {
            let action = action(operation);
            let name = action.map_or(crate::openapi::PUBLIC, Action::as_str);
            let mut row = vec![format!("{method} {path}"), name.to_owned()];
            row.extend(CALLERS.map(|caller| cell(path, action, caller)));
            rows.push(row);
        }
    }
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    let mut text = String::from(
        "# Generated from the OpenAPI document and domain::access. Statuses are refusals; an instance admin is\n\
         # no member of the workspace; a scope means: an API key that has it, cut by the current role of its minter.\n\
         # The key of an instance admin belongs to a workspace of the admin's own.\n\
         # The endpoints under /v1/byok, /v1/billing and users/me name no account: a person's are of the own account, an API key's are of the\n\
         # account of its workspace, which its minter must own.\n",
    );
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn cell(path: &str, action: Option<Action>, caller: Caller) -> String {
    match (refusal(path, action, caller), action) {
        (Some(status), _) => status.to_string(),
        (None, Some(action)) if caller.is_key() => action
            .rule()
            .scope
            .map_or_else(|| "yes".to_owned(), |scope| scope.as_str().to_owned()),
        (None, _) => "yes".to_owned(),
    }
}

/// The status with which this caller is refused; `None`: the caller passes.
pub(crate) fn refusal(path: &str, action: Option<Action>, caller: Caller) -> Option<u16> {
    let rule = action?.rule();
    if caller == Caller::Anonymous {
        return Some(401);
    }
    match (rule.standing, caller) {
        // A key of another workspace is told no more of this one than anybody.
        (Standing::Workspace(_), Caller::AdminKey) => Some(404),
        _ if caller.is_key() && rule.scope.is_none() => Some(403),
        (Standing::User, _) => None,
        (Standing::Instance, Caller::InstanceAdmin | Caller::AdminKey) => None,
        (Standing::Instance, _) => Some(403),
        // `/v1/byok`, `/v1/billing` and `users/me` name no account: everybody acts on their own.
        (Standing::Account, _) if !path.contains("{account_id}") => None,
        (Standing::Account, Caller::Role(Role::Owner) | Caller::ApiKey) => None,
        (Standing::Account, _) => Some(404),
        (Standing::Workspace(_), Caller::ApiKey) => None,
        (Standing::Workspace(needed), Caller::Role(role)) => (role < needed).then_some(403),
        (Standing::Workspace(_), _) => Some(404),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_who_passes_and_hides_foreign_workspaces() {
        let table = authz_table();
        let row = |start: &str| {
            let line = table.lines().find(|line| line.starts_with(start));
            line.expect("the operation is in the table").to_owned()
        };
        assert!(row("GET /health ").contains("public"));
        let byok = row("GET /v1/byok/keys ");
        let cells: Vec<_> = byok.split_whitespace().skip(3).collect();
        assert_eq!(
            cells,
            [
                "401",
                "yes",
                "yes",
                "yes",
                "yes",
                "yes",
                "byok:read",
                "byok:read"
            ]
        );
        let delete = row("DELETE /api/v1/workspaces/{workspace_id} ");
        let cells: Vec<_> = delete.split_whitespace().skip(2).collect();
        assert_eq!(
            cells,
            [
                "delete_workspace",
                "401",
                "404",
                "403",
                "403",
                "yes",
                "404",
                "403",
                "404"
            ]
        );
        let submit = row("POST /api/v1/workspaces/{workspace_id}/provider-keys ");
        let cells: Vec<_> = submit.split_whitespace().skip(2).collect();
        assert_eq!(
            cells,
            [
                "write_provider_keys",
                "401",
                "404",
                "403",
                "yes",
                "yes",
                "404",
                "byok:write",
                "404"
            ]
        );
        let settings = row("PATCH /api/v1/admin/settings ");
        let cells: Vec<_> = settings.split_whitespace().skip(2).collect();
        assert_eq!(
            cells,
            [
                "write_instance_settings",
                "401",
                "403",
                "403",
                "403",
                "403",
                "yes",
                "403",
                "instance:write"
            ]
        );
    }
}
