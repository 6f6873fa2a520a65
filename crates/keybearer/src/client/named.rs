//! A workspace as somebody names it.

use std::str::FromStr;

use domain::WorkspaceId;
use serde_json::{Value, json};

use super::Api;
use crate::failure::{Failure, Sort};

/// A workspace by its id, or by its name as the server has it. What has the form of an id is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NamedWorkspace {
    Id(WorkspaceId),
    Name(String),
}

impl From<WorkspaceId> for NamedWorkspace {
    fn from(id: WorkspaceId) -> Self {
        Self::Id(id)
    }
}

impl FromStr for NamedWorkspace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        // As the server does with names.
        match text.trim() {
            "" => Err("the id of a workspace, or its name"),
            name => Ok(Self::Name(name.to_owned())),
        }
    }
}

impl Api {
    /// The id of a workspace that somebody names. An id is taken as it is; a name must be that of exactly one workspace of
    /// the caller's.
    pub(crate) async fn find_workspace(
        &self,
        named: &NamedWorkspace,
    ) -> anyhow::Result<WorkspaceId> {
        let name = match named {
            NamedWorkspace::Id(id) => return Ok(*id),
            NamedWorkspace::Name(name) => name,
        };
        let known = match self.has_api_key() {
            true => self.own_workspace_as(name).await?,
            false => self.workspaces().await?,
        };
        let known = known["data"].as_array().map_or(&[][..], Vec::as_slice);
        let id = one_of(known, name)?;
        id.parse().map_err(|_| {
            let message = format!("{} answered with an id that is none", self.address());
            Failure::new(Sort::Unreachable, message).into()
        })
    }

    /// The caller's workspaces, as a list: a person's, or the only one of the API key that is presented.
    pub(crate) async fn workspaces(&self) -> anyhow::Result<Value> {
        if !self.has_api_key() {
            return self.get_list("/api/v1/workspaces").await;
        }
        let identity = self.get("/api/v1/whoami").await?;
        let id = identity["workspace_id"].as_str().unwrap_or_default();
        let workspace = self.get(&format!("/api/v1/workspaces/{id}")).await?;
        Ok(json!({ "data": [workspace], "next": null }))
    }

    /// The same for who presents an API key and names a workspace.
    async fn own_workspace_as(&self, name: &str) -> anyhow::Result<Value> {
        match self.workspaces().await {
            Err(error) if Failure::sort_of(&error) == Sort::Denied => {
                let message = format!(
                    "the API key may not see what its workspace is called, which may be {name:?}"
                );
                Err(Failure::new(Sort::Denied, message)
                    .hint("it has one workspace only, so none need be named")
                    .into())
            }
            workspaces => workspaces,
        }
    }
}

/// The id of the workspace with this name.
fn one_of<'a>(known: &'a [Value], name: &str) -> Result<&'a str, Failure> {
    let id = |it: &'a Value| it["id"].as_str().unwrap_or_default();
    let found: Vec<&str> = known
        .iter()
        .filter(|it| it["name"] == json!(name))
        .map(id)
        .collect();
    match found[..] {
        [one] => Ok(one),
        [] => {
            let message = format!("no workspace of yours is called {name:?}");
            let failure = Failure::new(Sort::Missing, message);
            let like = |it: &&str| it.to_lowercase() == name.to_lowercase();
            let names = known.iter().filter_map(|it| it["name"].as_str());
            Err(match (names.clone().find(like), known) {
                (Some(meant), _) => failure.suggestion(format!("{meant:?}")),
                (None, [only]) => failure.hint(format!(
                    "the only one is {} ({})",
                    json!(only["name"]),
                    id(only)
                )),
                (None, _) => failure.hint("keybearer workspace list shows them"),
            })
        }
        _ => {
            let message = format!(
                "{} workspaces are called {name:?}: {}",
                found.len(),
                found.join(", ")
            );
            Err(Failure::usage(message).hint("name it by its id"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "ws_06evr40e1m73fwp2hw6n0xq8kc";

    #[test]
    fn what_has_the_form_of_an_id_is_one_and_everything_else_a_name() {
        let id: WorkspaceId = ID.parse().expect("an id");
        assert_eq!(ID.parse(), Ok(NamedWorkspace::Id(id)));
        let name = |text: &str| NamedWorkspace::Name(text.to_owned());
        assert_eq!(" Team One ".parse(), Ok(name("Team One")));
        assert_eq!("ws_short".parse(), Ok(name("ws_short")));
        assert!(" ".parse::<NamedWorkspace>().is_err());
    }

    #[test]
    fn a_name_is_that_of_exactly_one_workspace() {
        let known = [("1", "Team"), ("2", "Other"), ("3", "Team"), ("4", "team")];
        let known = known.map(|(id, name)| json!({"id": id, "name": name}));
        let text = |known: &[Value], name: &str| {
            let failure = one_of(known, name).expect_err("not one");
            crate::failure::text(&failure.into(), false)
        };
        assert_eq!(one_of(&known, "Other").expect("one"), "2");
        assert_eq!(one_of(&known, "team").expect("one"), "4");
        assert_eq!(
            text(&known, "Team"),
            "error: 2 workspaces are called \"Team\": 1, 3\nhint: name it by its id"
        );
        assert_eq!(
            text(&known, "other"),
            "error: no workspace of yours is called \"other\"\ndid you mean \"Other\"?"
        );
        assert_eq!(
            text(&known[1..2], "x"),
            "error: no workspace of yours is called \"x\"\nhint: the only one is \"Other\" (2)"
        );
        assert!(text(&known, "x").ends_with("keybearer workspace list shows them"));
    }
}
