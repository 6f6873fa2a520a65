//! `keybearer byok`: own keys of the account, as the `/v1/byok` endpoints have them.

use std::process::ExitCode;

use domain::{Label, ProviderId};
use serde_json::json;
use url::form_urlencoded;

use super::confirm;
use super::keys::{SubmissionArgs, stored, submission};
use crate::client::Api;
use crate::output::{Column, Out, remark};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List the account's own keys.
    List,
    /// Add an own key of the account, or replace the one with the same label. The key is read from the terminal or from
    /// standard input and sealed here.
    Set(SubmissionArgs),
    /// Delete an own key of the account. Asks.
    Delete {
        /// The provider's id, such as `openai`.
        provider: ProviderId,
        /// What the key is called.
        #[arg(long, default_value = "primary")]
        label: Label,
        /// Delete without asking.
        #[arg(long)]
        yes: bool,
    },
}

const PATH: &str = "/v1/byok/keys";
const COLUMNS: &[Column] = &[
    ("PROVIDER", "/provider_name"),
    ("LABEL", "/label"),
    ("KEY", "/key_prefix"),
    ("LAST USED", "/last_used_at"),
    ("LAST FAILURE", "/last_failure_kind"),
    ("BASE URL", "/api_base"),
];

pub(crate) async fn run(api: &Api, command: Command, out: Out) -> anyhow::Result<ExitCode> {
    match command {
        Command::List => out.list(&api.get_list(PATH).await?, COLUMNS),
        Command::Set(args) => {
            let replaced =
                args.replaced(&stored(api, PATH).await?, "provider_name", "key_prefix")?;
            let sealed = submission(api, &args).await?;
            let mut body = json!({
                "provider_name": sealed.provider, "label": args.label(), "kek_id": sealed.kek_id,
                "ciphertext_b64": sealed.ciphertext,
            });
            if let Some(base_url) = sealed.base_url {
                body["api_base"] = json!(base_url);
            }
            let answer = api.post(PATH, &body).await?;
            if out.is_json() {
                out.json(&answer);
            } else {
                out.list(&json!({ "data": [answer] }), &COLUMNS[..3]);
            }
            if let Some(replaced) = replaced {
                remark(&format!("Replaced {replaced}, which is gone."));
            }
            remark(&format!("Sealed to {}, stored.", sealed.kek_id));
        }
        Command::Delete {
            provider,
            label,
            yes,
        } => {
            confirm(
                &format!("Delete the own key {provider}/{label} for good?"),
                yes,
            )?;
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("label", label.as_str())
                .finish();
            let deleted = api.delete(&format!("{PATH}/{provider}?{query}")).await?;
            out.done(&deleted, &format!("Deleted {provider}/{label}."));
        }
    }
    Ok(ExitCode::SUCCESS)
}
