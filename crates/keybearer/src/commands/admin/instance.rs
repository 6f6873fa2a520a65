//! `keybearer admin provider` and `sealing-key`: what holds for everybody.

use domain::ProviderId;
use serde_json::{Value, json};

use crate::client::Api;
use crate::commands::confirm;
use crate::failure::Failure;
use crate::output::{Column, Out};

#[derive(clap::Subcommand)]
pub(crate) enum ProviderCommand {
    /// List the providers with their switches.
    List,
    /// List the models that are listed for a provider, with what they cost in this instance.
    Models {
        /// The provider's id, such as `openai`.
        provider: ProviderId,
    },
    /// Change what is named and keep the rest. The next call follows it.
    Set {
        /// The provider's id, such as `openai`.
        provider: ProviderId,
        /// Whether it serves at all.
        #[arg(long)]
        enabled: Option<bool>,
        /// Whether own keys for it serve and are taken.
        #[arg(long)]
        byok: Option<bool>,
        /// Whether own keys for it may have a base URL of their own.
        #[arg(long)]
        custom_base_urls: Option<bool>,
        /// A model that is available, with `*`; can be repeated.
        #[arg(long)]
        model: Vec<String>,
        /// All models are available again.
        #[arg(long, conflicts_with = "model")]
        all_models: bool,
    },
}

#[derive(clap::Subcommand)]
pub(crate) enum SealingKeyCommand {
    /// Show its fingerprint and its age, for somebody whose command line asks.
    Show,
    /// Replace it; the old private half is destroyed and stored keys are not touched. Asks.
    Rotate {
        /// Rotate without asking.
        #[arg(long)]
        yes: bool,
    },
}

const PROVIDERS: &str = "/api/v1/admin/providers";
const SEALING_KEY: &str = "/api/v1/sealing-key";
const PROVIDER_COLUMNS: &[Column] = &[
    ("PROVIDER", "/id"),
    ("ENABLED", "/enabled"),
    ("OWN KEYS", "/byok"),
    ("CUSTOM BASE URLS", "/custom_base_urls"),
    ("MODELS", "/models"),
];
const MODEL_COLUMNS: &[Column] = &[
    ("MODEL", "/id"),
    ("AVAILABLE", "/available"),
    ("CONTEXT", "/context_tokens"),
    ("OUTPUT", "/max_output_tokens"),
    ("PRICE OF INPUT", "/price/input"),
    ("OF OUTPUT", "/price/output"),
    ("PRICED BY", "/priced_by"),
];
const SEALING_KEY_FACTS: &[Column] = &[
    ("kek_id", "/kek_id"),
    ("fingerprint", "/fingerprint"),
    ("created", "/created_at"),
    ("replaced at", "/expires_at"),
];

pub(super) async fn run_provider(
    api: &Api,
    command: ProviderCommand,
    out: Out,
) -> anyhow::Result<()> {
    match command {
        ProviderCommand::List => out.list(&api.get_list(PROVIDERS).await?, PROVIDER_COLUMNS),
        ProviderCommand::Models { provider } => {
            let path = format!("{PROVIDERS}/{provider}/models");
            out.list(&api.get_list(&path).await?, MODEL_COLUMNS);
        }
        ProviderCommand::Set {
            provider,
            enabled,
            byok,
            custom_base_urls,
            model,
            all_models,
        } => {
            let mut body = json!({});
            let switches = [
                ("enabled", enabled),
                ("byok", byok),
                ("custom_base_urls", custom_base_urls),
            ];
            for (name, switch) in switches {
                if let Some(switch) = switch {
                    body[name] = json!(switch);
                }
            }
            if all_models {
                body["models"] = Value::Null;
            } else if !model.is_empty() {
                body["models"] = json!(model);
            }
            if body == json!({}) {
                return Err(Failure::nothing_to_change("admin provider set").into());
            }
            let switched = api.patch(&format!("{PROVIDERS}/{provider}"), &body).await?;
            out.facts(&switched, PROVIDER_COLUMNS);
        }
    }
    Ok(())
}

pub(super) async fn run_sealing_key(
    api: &Api,
    command: SealingKeyCommand,
    out: Out,
) -> anyhow::Result<()> {
    match command {
        SealingKeyCommand::Show => out.facts(&api.get(SEALING_KEY).await?, SEALING_KEY_FACTS),
        SealingKeyCommand::Rotate { yes } => {
            confirm(
                "Replace the sealing key? Clients that pinned it refuse to seal until they trust the new one.",
                yes,
            )?;
            let path = format!("{SEALING_KEY}/rotate");
            let rotated = api.post(&path, &json!({})).await?;
            out.facts(&rotated, SEALING_KEY_FACTS);
        }
    }
    Ok(())
}
