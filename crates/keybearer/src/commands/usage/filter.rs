//! Which calls, for the commands whose calls the server picks.

use domain::{ApiKeyId, ProviderKeyId, UserId};
use url::form_urlencoded::Serializer;

#[derive(clap::Args)]
pub(super) struct Filter {
    /// Only calls that this provider served.
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<String>,
    /// Only calls of this model, by the provider's own name.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Only calls that this provider key served.
    #[arg(long, value_name = "ID")]
    key: Option<ProviderKeyId>,
    /// Only calls with this API key.
    #[arg(long, value_name = "ID")]
    api_key: Option<ApiKeyId>,
    /// Only calls with API keys of this person.
    #[arg(long, value_name = "ID")]
    member: Option<UserId>,
    /// Only calls that were paid so.
    #[arg(long, value_name = "byok|managed", value_parser = ["byok", "managed"])]
    paid_by: Option<String>,
}

impl Filter {
    /// Adds it to a query.
    pub(super) fn add_to(&self, query: &mut Serializer<'_, String>) {
        let pairs = [
            ("provider", self.provider.clone()),
            ("model", self.model.clone()),
            ("provider_key_id", self.key.map(|id| id.to_string())),
            ("api_key_id", self.api_key.map(|id| id.to_string())),
            ("user_id", self.member.map(|id| id.to_string())),
            ("key_source", self.paid_by.clone()),
        ];
        for (name, value) in pairs {
            if let Some(value) = value {
                query.append_pair(name, &value);
            }
        }
    }
}
