//! `keybearer admin user`: people.

use anyhow::ensure;
use domain::credential::{CredentialKind, is_well_formed};
use serde_json::json;

use crate::client::Api;
use crate::commands::people::People;
use crate::commands::{confirm, read_new_password, remark, say};
use crate::output::{Column, Out};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List everybody, or those whose e-mail has a part.
    List {
        /// The part.
        #[arg(long, value_name = "PART")]
        search: Option<String>,
    },
    /// Make a user with an account and a workspace. The password is read from the terminal or from standard input.
    Create {
        /// The e-mail address to log in with.
        address: String,
    },
    /// Lock a user out: sessions and API keys stop at once. Asks.
    Suspend {
        /// The e-mail address or the user's id.
        user: String,
        /// Suspend without asking.
        #[arg(long)]
        yes: bool,
    },
    /// Let a suspended user in again.
    Restore {
        /// The e-mail address or the user's id.
        user: String,
    },
    /// Make a user an admin of the instance. Asks.
    Promote {
        /// The e-mail address or the user's id.
        user: String,
        /// Promote without asking.
        #[arg(long)]
        yes: bool,
    },
    /// Make a user no admin of the instance any more; oneself, too, but not the last one. Asks.
    Demote {
        /// The e-mail address or the user's id.
        user: String,
        /// Demote without asking.
        #[arg(long)]
        yes: bool,
    },
    /// Print a link by which a user sets a new password without the one before, for you to hand over. It is good once, for an
    /// hour, and ends the user's sessions. For oneself there is `keybearer password`, and at the server's machine
    /// `keybearer password-link`.
    PasswordLink {
        /// The e-mail address or the user's id.
        user: String,
    },
}

const PATH: &str = "/api/v1/users";
const COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("E-MAIL", "/email"),
    ("ACCOUNT", "/account_id"),
    ("ADMIN", "/instance_admin"),
    ("SUSPENDED", "/suspended"),
    ("CREATED", "/created_at"),
];
/// More users are not shown or searched.
const MOST: usize = 100_000;
const USERS: People = People {
    path: PATH,
    id: "id",
    most: MOST,
    missing: "there is no user",
    shown_by: "keybearer admin user list",
};

pub(super) async fn run(api: &Api, command: Command, out: Out) -> anyhow::Result<()> {
    match command {
        Command::List { search } => {
            let query: Vec<_> = search.map(|part| ("q", part)).into_iter().collect();
            out.list(&api.list(PATH, &query, MOST).await?, COLUMNS);
        }
        Command::Create { address } => {
            let password = read_new_password("The user's")?;
            let body = json!({ "email": address, "password": password });
            out.facts(&api.post(PATH, &body).await?, COLUMNS);
        }
        Command::Suspend { user, yes } => {
            let (name, path) = USERS.find(api, &user).await?;
            confirm(&format!("Suspend {name}?"), yes)?;
            api.patch(&path, &json!({ "suspended": true })).await?;
            out.done(&json!({ "suspended": true }), &format!("Suspended {name}."));
        }
        Command::Restore { user } => {
            let (name, path) = USERS.find(api, &user).await?;
            api.patch(&path, &json!({ "suspended": false })).await?;
            out.done(
                &json!({ "suspended": false }),
                &format!("{name} can log in again."),
            );
        }
        Command::Promote { user, yes } => {
            let (name, path) = USERS.find(api, &user).await?;
            let question = format!(
                "Make {name} an admin of the instance, who manages its users, keys, credits and settings?"
            );
            confirm(&question, yes)?;
            let body = json!({ "instance_admin": true });
            api.patch(&path, &body).await?;
            out.done(&body, &format!("{name} is an admin of the instance."));
        }
        Command::Demote { user, yes } => {
            let (name, path) = USERS.find(api, &user).await?;
            confirm(
                &format!("Make {name} no admin of the instance any more?"),
                yes,
            )?;
            let body = json!({ "instance_admin": false });
            api.patch(&path, &body).await?;
            out.done(
                &body,
                &format!("{name} is no admin of the instance any more."),
            );
        }
        Command::PasswordLink { user } => {
            let (name, path) = USERS.find(api, &user).await?;
            let path = format!("{path}/password-link");
            let mut made = api.post(&path, &json!({})).await?;
            let token = made["token"].as_str().unwrap_or_default();
            ensure!(
                is_well_formed(CredentialKind::PasswordLink, token),
                "the server's answer has no link"
            );
            let url = format!("{}/console/password#token={token}", api.address());
            made["url"] = json!(url);
            match out.is_json() {
                true => out.json(&made),
                false => say(&url),
            }
            remark(&format!(
                "It gives {name} a new password, once, until {}. It is shown once; hand it over yourself.",
                made["expires_at"].as_str().unwrap_or("-")
            ));
        }
    }
    Ok(())
}
