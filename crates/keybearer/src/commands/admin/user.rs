//! `keybearer admin user`: people.

use serde_json::{Value, json};

use crate::client::Api;
use crate::commands::{confirm, read_text};
use crate::failure::{Failure, Sort};
use crate::output::{Column, Out};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List everybody.
    List,
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

pub(super) async fn run(api: &Api, command: Command, out: Out) -> anyhow::Result<()> {
    match command {
        Command::List => out.list(&api.list(PATH, &[], MOST).await?, COLUMNS),
        Command::Create { address } => {
            let password = read_text(
                "The user's password (10 characters or more): ",
                "the password",
            )?;
            let body = json!({ "email": address, "password": password });
            out.facts(&api.post(PATH, &body).await?, COLUMNS);
        }
        Command::Suspend { user, yes } => {
            let (name, path) = find(api, &user).await?;
            confirm(&format!("Suspend {name}?"), yes)?;
            api.patch(&path, &json!({ "suspended": true })).await?;
            out.done(&json!({ "suspended": true }), &format!("Suspended {name}."));
        }
        Command::Restore { user } => {
            let (name, path) = find(api, &user).await?;
            api.patch(&path, &json!({ "suspended": false })).await?;
            out.done(
                &json!({ "suspended": false }),
                &format!("{name} can log in again."),
            );
        }
    }
    Ok(())
}

async fn find(api: &Api, user: &str) -> anyhow::Result<(String, String)> {
    let users = api.list(PATH, &[], MOST).await?;
    let mut users = users["data"].as_array().into_iter().flatten();
    let is_meant = |entry: &&Value| {
        entry["id"] == user
            || entry["email"]
                .as_str()
                .is_some_and(|email| email.eq_ignore_ascii_case(user))
    };
    let Some(found) = users.find(is_meant) else {
        let failure = Failure::new(Sort::Missing, format!("there is no user {user}"));
        return Err(failure.hint("keybearer admin user list shows them").into());
    };
    let text = |field: &str| found[field].as_str().unwrap_or("-").to_owned();
    Ok((text("email"), format!("{PATH}/{}", text("id"))))
}
