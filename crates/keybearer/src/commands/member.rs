//! `keybearer member`: who belongs to a workspace, and who is invited.

use std::process::ExitCode;

use anyhow::Context;
use domain::InvitationId;
use domain::access::Role;
use serde_json::json;

use super::confirm;
use super::people::People;
use super::workspace::Which;
use crate::client::Api;
use crate::output::{Column, Out, remark, say};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List the members.
    List {
        #[command(flatten)]
        which: Which,
    },
    /// Invite somebody. The invitation token is printed once, for you to hand over: `keybearer join` takes it.
    Invite {
        /// The e-mail address.
        address: String,
        /// `member` or `admin`.
        #[arg(long, default_value = "member")]
        role: Role,
        #[command(flatten)]
        which: Which,
    },
    /// List the invitations.
    Invitations {
        #[command(flatten)]
        which: Which,
    },
    /// Take an invitation back.
    Uninvite {
        /// The invitation's id.
        id: InvitationId,
        #[command(flatten)]
        which: Which,
    },
    /// Give a member another role.
    Role {
        /// The e-mail address or the user's id.
        member: String,
        /// `member` or `admin`.
        role: Role,
        #[command(flatten)]
        which: Which,
    },
    /// Remove a member; the member's API keys of the workspace end. Asks.
    Remove {
        /// The e-mail address or the user's id.
        member: String,
        #[command(flatten)]
        which: Which,
        /// Remove without asking.
        #[arg(long)]
        yes: bool,
    },
}

const COLUMNS: &[Column] = &[
    ("USER", "/user_id"),
    ("E-MAIL", "/email"),
    ("ROLE", "/role"),
    ("JOINED", "/created_at"),
];
const INVITATION_COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("E-MAIL", "/email"),
    ("ROLE", "/role"),
    ("EXPIRES", "/expires_at"),
    ("ACCEPTED", "/accepted_at"),
];
/// More members are not shown at once.
const MOST: usize = 10_000;

pub(crate) async fn run(api: &Api, command: Command, out: Out) -> anyhow::Result<ExitCode> {
    match command {
        Command::List { which } => {
            let path = which.path(api, "/members").await?;
            out.list(&api.list(&path, &[], MOST).await?, COLUMNS);
        }
        Command::Invite {
            address,
            role,
            which,
        } => {
            let path = which.path(api, "/invitations").await?;
            let body = json!({ "email": address, "role": role });
            let made = api.post(&path, &body).await?;
            if out.is_json() {
                out.json(&made);
            } else {
                say(made["token"]
                    .as_str()
                    .context("the server's answer lacks the token")?);
            }
            remark(&format!(
                "Invited {address} until {}. The token is shown once; hand it over yourself.",
                made["expires_at"].as_str().unwrap_or("-")
            ));
        }
        Command::Invitations { which } => {
            let path = which.path(api, "/invitations").await?;
            out.list(&api.list(&path, &[], MOST).await?, INVITATION_COLUMNS);
        }
        Command::Uninvite { id, which } => {
            let path = which.path(api, &format!("/invitations/{id}")).await?;
            api.delete(&path).await?;
            out.done(&json!({ "deleted": true }), "The invitation is void.");
        }
        Command::Role {
            member,
            role,
            which,
        } => {
            let (name, path) = find(api, &which, &member).await?;
            api.patch(&path, &json!({ "role": role })).await?;
            out.done(&json!({ "role": role }), &format!("{name} is {role} now."));
        }
        Command::Remove { member, which, yes } => {
            let (name, path) = find(api, &which, &member).await?;
            confirm(&format!("Remove {name} from the workspace?"), yes)?;
            api.delete(&path).await?;
            out.done(&json!({ "deleted": true }), &format!("Removed {name}."));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A member by e-mail address or id: the address, and the path in the API.
async fn find(api: &Api, which: &Which, member: &str) -> anyhow::Result<(String, String)> {
    let path = which.path(api, "/members").await?;
    let members = People {
        path: &path,
        id: "user_id",
        most: MOST,
        missing: "the workspace has no member",
        shown_by: "keybearer member list",
    };
    members.find(api, member).await
}
