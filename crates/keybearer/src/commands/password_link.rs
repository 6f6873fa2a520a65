//! `keybearer password-link`: a way back in, for whoever has the database and the root key at hand.

use std::process::ExitCode;

use control::error::Code;
use control::ops::password_links::{self, PAGE, PasswordLink};
use serde_json::json;

use super::{remark, say};
use crate::config::Loaded;
use crate::failure::{Failure, Sort};
use crate::open::{self, Instance};
use crate::output::Out;
use crate::{serve, sources};

/// Makes a link to a new password for one person, and prints it.
pub(crate) async fn run(loaded: Loaded, email: &str, out: Out) -> anyhow::Result<ExitCode> {
    if !open::is_there(&loaded.config) {
        let place = loaded.config.data_dir.display();
        return Err(Failure::new(Sort::Missing, format!("there is no database in {place}"))
            .hint("of a server: --config FILE, or its KEYBEARER_* options; a local instance has no password: `keybearer console`")
            .into());
    }
    let origin = serve::origin(&loaded.config, &loaded.config.listen);
    let sources = sources::system();
    let instance = open::open_existing(loaded, &sources).await?;
    let (store, hasher) = (&instance.store, instance.root.hasher());
    match password_links::create_at_machine(store, &hasher, &sources, email).await {
        Ok(link) => print(&link, &origin, out),
        Err(problem) if problem.code() == Code::NotFound => {
            return Err(nobody(&instance).await?.into());
        }
        Err(problem) => {
            let failure = Failure::new(Sort::Failed, format!("no link can be made: {problem}"));
            return Err(failure.code(problem.code().as_str()).into());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(link: &PasswordLink, origin: &str, out: Out) {
    let (email, expires_at) = (&link.user.email, link.expires_at.to_string());
    let url = link.credential.expose(|token| {
        let token = String::from_utf8_lossy(token);
        format!("{origin}{PAGE}#token={token}")
    });
    if out.is_json() {
        out.json(&json!({ "url": url, "email": email, "expires_at": expires_at }));
        return;
    }
    say(&url);
    remark(&format!(
        "Open it in a browser once the server runs: it gives {email} a new password and ends all sessions of that person. \
         It is good once, until {expires_at}."
    ));
}

/// Nobody has the e-mail; whoever has the database may know who could be meant.
async fn nobody(instance: &Instance) -> anyhow::Result<Failure> {
    let admins = instance.store.system().instance_admins().await?;
    let admins: Vec<String> = admins.into_iter().map(|admin| admin.email).collect();
    let failure = Failure::new(Sort::Missing, "no user of this instance has this e-mail");
    Ok(match admins.is_empty() {
        true => failure,
        false => failure.hint(format!("its admins are {}", admins.join(", "))),
    })
}
