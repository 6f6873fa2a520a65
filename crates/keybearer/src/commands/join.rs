//! `keybearer join`: accepting an invitation.

use std::process::ExitCode;

use serde_json::json;

use super::login::keep;
use super::{read_new_password, read_text, remark};
use crate::client::{Api, Connection};
use crate::logins::Credential;
use crate::output::Out;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The server's address; `KEYBEARER_URL`, the last login's or http://127.0.0.1:4356 unless given.
    #[arg(long)]
    url: Option<String>,
    /// Join as the person who is logged in, instead of becoming a new user.
    #[arg(long, conflicts_with = "url")]
    existing: bool,
}

const PATH: &str = "/api/v1/invitations/accept";

pub(crate) async fn run(args: Args, out: Out) -> anyhow::Result<ExitCode> {
    let connection = if args.existing {
        Connection::chosen().await?
    } else {
        Connection::anonymous(args.url)?
    };
    let mut api = Api::connect(&connection)?;
    let token = read_text("Invitation token: ", "the token")?;
    if args.existing {
        let joined = api.post(PATH, &json!({ "token": token })).await?;
        let facts = [("workspace", "/workspace_id"), ("user", "/user_id")];
        out.facts(&joined, &facts);
        remark("Joined.");
        return Ok(ExitCode::SUCCESS);
    }
    let password = read_new_password("Choose a")?;
    let body = json!({ "token": token, "password": password });
    let session = api.begin_session(PATH, &body).await?;
    keep(&api, Credential::Session(session), None, out).await?;
    Ok(ExitCode::SUCCESS)
}
