//! A provider file is read to what its own rules hold, or refused with the place of the fault.

use llm::base_url::{Loopback, canonical_base_url};
use llm::provider::Provider;

pub(crate) fn holds(input: &[u8]) {
    let Ok(toml) = std::str::from_utf8(input) else {
        return;
    };
    match Provider::parse("fuzz.toml", toml) {
        Ok(provider) => {
            let url = &provider.base_url;
            assert_eq!(
                canonical_base_url(url, Loopback::AllowHttp).as_ref(),
                Ok(url)
            );
            let _ = provider.probe_request();
            for model in &provider.models {
                assert!(provider.lists(&model.id) && provider.knows(&model.id));
            }
        }
        Err(error) => {
            assert_eq!(error.file, "fuzz.toml");
            assert!((1..=toml.lines().count().max(1) + 1).contains(&error.line));
        }
    }
}
