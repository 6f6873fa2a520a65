//! `keybearer admin user`: people.

use serde_json::json;

use crate::client::Api;
use crate::commands::people::People;
use crate::commands::{confirm, read_new_password};
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
    }
    Ok(())
}
