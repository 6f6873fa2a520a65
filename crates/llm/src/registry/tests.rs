use std::fs;
use std::path::Path;

use proptest::prelude::proptest;

use super::*;
use crate::base_url::{Loopback, canonical_base_url};
use crate::provider::{Kind, Status};

fn bundled() -> Registry {
    Registry::bundled().expect("the bundled files are valid")
}

/// A small provider file.
fn file(id: &str, kind: &str, patterns: &str, models: &[&str]) -> (String, String) {
    let models: String = models
        .iter()
        .map(|model| format!("[[models]]\nid = \"{model}\"\n"))
        .collect();
    let toml = format!(
        "id = \"{id}\"\nname = \"{id}\"\nbase_url = \"http://127.0.0.1:9\"\nstatus = \"active\"\n\
         kind = \"{kind}\"\nnative_patterns = {patterns}\n[payment]\nmodes = [\"byok\"]\n\
         [auth]\nheader = \"authorization\"\nscheme = \"Bearer\"\n[key]\nurl = \"https://a.example\"\n\
         [[formats]]\nformat = \"openai_chat\"\npath = \"/v1/chat/completions\"\n{models}"
    );
    (format!("{id}.toml"), toml)
}

fn candidates(registry: &Registry, model: &str) -> Vec<String> {
    let candidates = registry.candidates(model);
    let text = |it: &Candidate| format!("{}: {}", it.provider, it.model);
    candidates.iter().map(text).collect()
}

#[test]
fn every_bundled_file_is_in_the_list_and_keeps_the_house_rules() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../providers");
    let files = fs::read_dir(folder).expect("the provider files");
    let mut names: Vec<_> = files
        .map(|file| {
            file.expect("a file")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.sort();
    let listed: Vec<_> = bundled::FILES.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        listed, names,
        "registry/bundled.rs lists /providers in order"
    );

    for (name, toml) in bundled::FILES {
        let provider = Provider::parse(name, toml).expect(name);
        assert_eq!(*name, format!("{}.toml", provider.id));
        assert!(
            toml.starts_with("# source: https://"),
            "{name} names its source"
        );
        assert!(provider.takes_own_keys(), "{name}");
        assert_eq!(provider.takes_platform_keys(), provider.serves_models());
        assert_eq!(provider.status, Status::Active, "{name}");
        assert!(!provider.env.is_empty(), "{name}");
        assert!(provider.probe_request().is_some(), "{name} can be probed");
        let canonical = canonical_base_url(&provider.base_url, Loopback::HttpsOnly);
        assert_eq!(canonical.as_ref(), Ok(&provider.base_url), "{name}");
        assert_eq!(provider.formats.is_empty(), provider.kind == Kind::Search);
        for model in &provider.models {
            let speaks = crate::format::FORMATS
                .iter()
                .any(|format| provider.rule(&model.id, format.id()).is_some());
            assert!(speaks, "{name}: {} has a format", model.id);
        }
    }
}

#[test]
fn a_gateway_names_the_models_of_the_providers_that_it_has_slugs_for() {
    let through = |registry: &Registry, gateway: &str, model: &str| -> Vec<String> {
        let gateway = gateway.parse().expect("a provider id");
        let candidates = registry.candidates(model);
        let through = registry.through_gateway(&gateway, &candidates);
        let text = |it: &Candidate| format!("{}: {}", it.provider, it.model);
        through.iter().map(text).collect()
    };
    let registry = bundled();
    for (model, expected) in [
        ("grok-4.5", vec!["openrouter: x-ai/grok-4.5"]),
        ("gpt-4o-mini", vec!["openrouter: openai/gpt-4o-mini"]),
        // Known to the gateway by that very name: it is a candidate already.
        ("openai/gpt-4o", vec![]),
        ("openrouter/openai/gpt-4o", vec![]),
        // Named otherwise there; a name of the gateway's own passes as it is.
        (
            "claude-haiku-4-5",
            vec!["openrouter: anthropic/claude-haiku-4.5"],
        ),
        (
            "claude-haiku-4-5-20251001",
            vec!["openrouter: anthropic/claude-haiku-4.5"],
        ),
        (
            "claude-sonnet-4-20250514",
            vec!["openrouter: anthropic/claude-sonnet-4"],
        ),
        (
            "anthropic/claude-sonnet-4",
            vec!["openrouter: anthropic/claude-sonnet-4"],
        ),
        ("nobody-knows-it", vec![]),
    ] {
        assert_eq!(through(&registry, "openrouter", model), expected, "{model}");
    }
    assert!(through(&registry, "openai", "grok-4.5").is_empty());
    assert!(through(&registry, "unheard-of", "grok-4.5").is_empty());
    let suspended = bundled::FILES
        .iter()
        .find(|(name, _)| *name == "openrouter.toml");
    let (name, toml) = suspended.expect("it is bundled");
    let toml = toml.replace("\"active\"", "\"suspended\"");
    let registry = registry
        .with_files(&[((*name).to_owned(), toml)])
        .expect("valid");
    assert!(through(&registry, "openrouter", "grok-4.5").is_empty());
}

#[test]
fn no_bundled_url_carries_a_key() {
    // T51
    for provider in bundled().providers() {
        let probe = provider.probe_request().expect("a probe");
        for secret in ["key=", "token=", "secret="] {
            assert!(!probe.path.contains(secret), "{}", provider.id);
        }
        assert!(provider.formats.iter().all(|rule| !rule.path.contains('?')));
    }
}

#[test]
fn well_known_names_find_their_providers() {
    let registry = bundled();
    for (model, expected) in [
        ("gpt-4o", &["openai: gpt-4o"][..]),
        ("gpt-99-unheard-of", &["openai: gpt-99-unheard-of"]),
        ("o3-mini", &["openai: o3-mini"]),
        ("claude-opus-5-5", &["anthropic: claude-opus-5-5"]),
        ("gemini-3.5-flash-lite", &["google: gemini-3.5-flash-lite"]),
        ("grok-4.3", &["xai: grok-4.3"]),
        ("mistral-small-latest", &["mistral: mistral-small-latest"]),
        ("deepseek-flash", &["deepseek: deepseek-flash"]),
        ("sonar", &["perplexity: sonar"]),
        ("command-a-03-2025", &["cohere: command-a-03-2025"]),
        (
            "openai/gpt-4o",
            &["openai: gpt-4o", "openrouter: openai/gpt-4o"],
        ),
        ("openrouter/openai/gpt-4o", &["openrouter: openai/gpt-4o"]),
        ("openrouter/any/thing", &["openrouter: any/thing"]),
        (
            "gpt-oss-120b",
            &["cerebras: gpt-oss-120b", "openai: gpt-oss-120b"],
        ),
        ("brave/x", &[]),
        ("openai/", &[]),
        ("OpenAI/gpt-4o", &[]),
        ("llama", &[]),
        ("", &[]),
        ("/", &[]),
    ] {
        assert_eq!(candidates(&registry, model), expected, "{model}");
    }
}

#[test]
fn listed_comes_before_claimed_and_makers_before_others() {
    let registry = Registry::default()
        .with_files(&[
            file("a-gateway", "gateway", "[\"m-*\"]", &["m-1"]),
            file("b-claims", "first_party", "[\"m-*\"]", &[]),
            file("c-lists", "first_party", "[]", &["m-1"]),
            file("d-cloud", "cloud", "[]", &["m-1"]),
            file("e-hosts", "third_party", "[]", &["m-1"]),
        ])
        .expect("valid files");
    assert_eq!(
        candidates(&registry, "m-1"),
        [
            "c-lists: m-1",
            "d-cloud: m-1",
            "e-hosts: m-1",
            "a-gateway: m-1",
            "b-claims: m-1"
        ]
    );
}

#[test]
fn a_provider_that_is_not_active_takes_no_requests() {
    let (name, toml) = file("openai", "first_party", "[\"gpt-*\"]", &[]);
    let toml = toml.replace("\"active\"", "\"suspended\"");
    let registry = bundled().with_files(&[(name, toml)]).expect("a valid file");
    assert_eq!(candidates(&registry, "gpt-4o"), Vec::<String>::new());
    assert_eq!(
        candidates(&registry, "openai/gpt-4o"),
        ["openrouter: openai/gpt-4o"]
    );
    let id = "openai".parse().expect("an id");
    assert!(registry.get(&id).is_some(), "its keys can still be seen");
}

#[test]
fn own_files_add_and_replace_providers() {
    let registry = bundled()
        .with_files(&[
            file("my-provider", "third_party", "[]", &["mine"]),
            file("openai", "first_party", "[]", &["only-this"]),
        ])
        .expect("valid files");
    assert_eq!(
        registry.providers().count(),
        bundled().providers().count() + 1
    );
    assert_eq!(candidates(&registry, "mine"), ["my-provider: mine"]);
    assert_eq!(candidates(&registry, "only-this"), ["openai: only-this"]);
    assert!(!candidates(&registry, "gpt-4o").contains(&"openai: gpt-4o".to_owned()));
}

#[test]
fn a_broken_or_repeated_own_file_is_refused_by_name() {
    let broken = ("x.toml".to_owned(), "id = \"x\"\nnam = \"X\"\n".to_owned());
    let error = bundled().with_files(&[broken]).expect_err("a broken file");
    assert!(
        error
            .to_string()
            .starts_with("provider file x.toml, line 2"),
        "{error}"
    );
    // Whoever prints the chain of causes prints each only once.
    assert!(std::error::Error::source(&error).is_none());

    let (_, toml) = file("same", "third_party", "[]", &[]);
    let twice = [
        ("a.toml".to_owned(), toml.clone()),
        ("b.toml".to_owned(), toml),
    ];
    let error = bundled().with_files(&twice).expect_err("the same id twice");
    assert_eq!(
        error.to_string(),
        "provider files a.toml and b.toml both describe `same`"
    );
}

#[test]
fn the_longest_answer_of_a_model_is_known_to_its_maker_and_through_a_gateway() {
    let registry = bundled();
    let longest = |provider: &str, model: &str| {
        let provider = provider.parse().expect("a provider id");
        registry.max_output_tokens(&provider, model)
    };
    let mini = longest("openai", "gpt-4o-mini");
    assert_eq!(mini, Some(16_384));
    assert_eq!(longest("openrouter", "openai/gpt-4o-mini"), mini);
    // Named otherwise at the gateway.
    let haiku = longest("anthropic", "claude-haiku-4-5");
    assert!(haiku.is_some());
    assert_eq!(longest("openrouter", "anthropic/claude-haiku-4.5"), haiku);
    for (provider, model) in [
        ("openai", "gpt-unheard-of"),
        ("openrouter", "x-ai/unheard-of"),
        ("openrouter", "nobody/gpt-4o-mini"),
        ("nobody", "gpt-4o-mini"),
    ] {
        assert_eq!(longest(provider, model), None, "{provider} {model}");
    }
}

#[test]
fn a_slip_is_met_with_a_suggestion_and_a_stranger_is_not() {
    let registry = bundled();
    for (text, meant) in [
        ("openai", Some("openai")),
        ("OpenAI", Some("openai")),
        ("open-ai", Some("openai")),
        ("opneai", Some("openai")),
        ("antropic", Some("anthropic")),
        ("claude", Some("anthropic")),
        ("gemini", Some("google")),
        ("grok", Some("xai")),
        ("x.ai", Some("xai")),
        ("Together AI", Some("together")),
        ("open_router", Some("openrouter")),
        ("mistralai", Some("mistral")),
        ("xyz", None),
        ("azure", None),
        ("", None),
        ("---", None),
    ] {
        let suggestion = registry.suggest(text).map(ProviderId::as_str);
        assert_eq!(suggestion, meant, "{text}");
    }
    assert_eq!(registry.suggest(&"openai".repeat(1000)), None);
}

proptest! {
    #[test]
    fn any_text_is_looked_up_without_panic(text in "\\PC{0,30}") {
        let registry = bundled();
        registry.suggest(&text);
        registry.candidates(&text);
    }
}
