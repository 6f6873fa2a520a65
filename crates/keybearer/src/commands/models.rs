//! `keybearer models`: what can be called, and `keybearer provider`: who serves it.

use std::process::ExitCode;

use domain::ProviderId;
use serde_json::{Value, json};

use super::keys::known;
use crate::client::Api;
use crate::output::{Column, Out, remark};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// All models that the instance lists, whether or not the caller's keys reach them.
    #[arg(long)]
    all: bool,
    /// Only this provider's.
    #[arg(long)]
    provider: Option<ProviderId>,
}

#[derive(clap::Subcommand)]
pub(crate) enum ProviderCommand {
    /// List the providers that are switched on; of a local instance those for which there is a key.
    List {
        /// Of a local instance those without a key, too.
        #[arg(long)]
        all: bool,
    },
    /// Show a provider: where it is called, how its keys look, where to get one.
    Show {
        /// The provider's id, such as `openai`.
        provider: String,
    },
}

const COLUMNS: &[Column] = &[("MODEL", "/id"), ("PROVIDER", "/owned_by")];
const LISTED_COLUMNS: &[Column] = &[
    ("MODEL", "/id"),
    ("CONTEXT", "/context_tokens"),
    ("OUTPUT", "/max_output_tokens"),
];
const PROVIDER_COLUMNS: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("STATUS", "/status"),
    ("OWN KEYS", "/byok"),
    ("KEY", "/key/pattern"),
    ("FORMATS", "/formats"),
];
const PROVIDER_FACTS: &[Column] = &[
    ("id", "/id"),
    ("name", "/name"),
    ("status", "/status"),
    ("kind", "/kind"),
    ("base URL", "/base_url"),
    ("own keys", "/byok"),
    ("paid by", "/payment_modes"),
    ("formats", "/formats"),
    ("key looks like", "/key/pattern"),
    ("get a key at", "/key/url"),
    ("variables", "/env"),
];

pub(crate) async fn run(api: &Api, args: Args, out: Out) -> anyhow::Result<ExitCode> {
    let provider = args.provider.as_ref().map(ProviderId::as_str);
    // The data plane lists what a key reaches, and takes API keys only.
    if args.all || !api.has_api_key() {
        if !args.all {
            remark("Without an API key these are all models of the instance; yours may be fewer.");
        }
        let listed = listed(&providers(api).await?, provider);
        out.list(&json!({ "data": listed }), LISTED_COLUMNS);
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(provider) = provider {
        known(api, provider).await?;
    }
    let mut models = api.get_list("/v1/models").await?;
    if let (Some(provider), Some(data)) = (provider, models["data"].as_array_mut()) {
        data.retain(|model| model["owned_by"] == provider);
    }
    if models["data"].as_array().is_some_and(Vec::is_empty) {
        let (whose, add) = match provider {
            Some(provider) => (format!("a model of {provider}"), provider),
            None => ("a model".to_owned(), "PROVIDER"),
        };
        remark(&format!(
            "No key reaches {whose}; keybearer keys add {add} brings one, --all lists all."
        ));
    }
    out.list(&models, COLUMNS);
    Ok(ExitCode::SUCCESS)
}

async fn providers(api: &Api) -> anyhow::Result<Vec<Value>> {
    let providers = api.get_list("/v1/providers?all=true").await?;
    Ok(providers["data"].as_array().cloned().unwrap_or_default())
}

/// As the data plane lists models, with what the registry knows besides.
fn listed(providers: &[Value], wanted: Option<&str>) -> Vec<Value> {
    let mut listed = Vec::new();
    for provider in providers {
        let id = provider["id"].as_str().unwrap_or("-");
        if wanted.is_some_and(|wanted| wanted != id) {
            continue;
        }
        for model in provider["models"].as_array().into_iter().flatten() {
            let name = model["id"].as_str().unwrap_or("-");
            listed.push(json!({
                "id": format!("{id}/{name}"), "owned_by": id, "context_tokens": model["context_tokens"],
                "max_output_tokens": model["max_output_tokens"],
            }));
        }
    }
    listed
}

pub(crate) async fn run_provider(
    api: &Api,
    command: ProviderCommand,
    out: Out,
) -> anyhow::Result<ExitCode> {
    match command {
        ProviderCommand::List { all } => {
            let path = match all {
                true => "/v1/providers?all=true",
                false => "/v1/providers",
            };
            out.list(&api.get_list(path).await?, PROVIDER_COLUMNS);
        }
        ProviderCommand::Show { provider } => {
            out.facts(&known(api, provider.as_str()).await?, PROVIDER_FACTS);
        }
    }
    Ok(ExitCode::SUCCESS)
}
