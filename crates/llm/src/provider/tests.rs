use super::*;

pub(super) const FULL: &str = r#"
id = "my-provider"
name = "My Provider"
base_url = "HTTPS://Models.Example:443/api/"
status = "active"
kind = "third_party"
env = ["MY_PROVIDER_API_KEY"]
native_patterns = ["mine-*"]

[payment]
modes = ["byok", "managed"]

[auth]
header = "authorization"
scheme = "Bearer"

[auth.extra_headers]
x-version = "2"

[key]
pattern = "mp-*"
url = "https://models.example/keys"

[probe]
format = "openai_chat"
model = "mine-small"

[[formats]]
format = "openai_chat"
path = "/v1/chat/completions"

[[formats]]
format = "anthropic_messages"
path = "/anthropic/v1/messages"

[[formats]]
pattern = "mine-text-*"
format = "openai_chat"
path = "/text/chat/completions"

[[models]]
id = "mine-small"
input_modalities = ["text", "image"]
context_tokens = 32_000
max_output_tokens = 4_000

[[models]]
id = "mine-text-1"
"#;

pub(super) fn parsed(toml: &str) -> Provider {
    Provider::parse("my-provider.toml", toml).expect("a provider file")
}

#[test]
fn a_file_is_read_whole() {
    let provider = parsed(FULL);
    assert_eq!(provider.id.as_str(), "my-provider");
    assert_eq!(provider.base_url, "https://models.example/api");
    assert_eq!(provider.auth.scheme.as_deref(), Some("Bearer"));
    let header = ("x-version".to_owned(), "2".to_owned());
    assert_eq!(provider.auth.extra_headers, [header]);
    assert!(provider.takes_own_keys() && provider.serves_models());
    assert!(provider.takes_stream_options);
    let refuses = FULL.replacen("env =", "stream_options = false\nenv =", 1);
    assert!(!parsed(&refuses).takes_stream_options);
    assert_eq!(provider.key.pattern.as_deref(), Some("mp-*"));
    assert_eq!(
        provider.models[0].input_modalities,
        [Modality::Text, Modality::Image]
    );
    assert_eq!(provider.models[0].context_tokens, Some(32_000));
    assert_eq!(provider.models[1].input_modalities, [Modality::Text]);
    assert_eq!(provider.models[1].context_tokens, None);
}

#[test]
fn paths_are_closed_or_shared_as_the_file_says() {
    let rules = FULL.replacen(
        "env =",
        "closed = [\"mint\"]\nshared = [\"search\"]\nenv =",
        1,
    );
    let (plain, ruled) = (parsed(FULL), parsed(&rules));
    assert!(plain.is_closed("/v1/keys") && ruled.is_closed("/v1/keys"));
    assert!(!plain.is_closed("/mint") && ruled.is_closed("/v1/mint/x"));
    assert!(!plain.is_shared("/search") && ruled.is_shared("/search/x"));
    let broken = FULL.replacen("env =", "closed = [\"/keys\"]\nenv =", 1);
    let error = Provider::parse("my-provider.toml", &broken).expect_err("a slash in front");
    assert_eq!((error.line, error.field.as_str()), (7, "closed"));
}

#[test]
fn the_closest_pattern_says_which_formats_a_model_speaks() {
    let provider = parsed(FULL);
    let path = |model: &str, format| provider.rule(model, format).map(|rule| rule.path.as_str());
    use FormatId::{AnthropicMessages, OpenaiChat};
    assert_eq!(path("any", OpenaiChat), Some("/v1/chat/completions"));
    assert_eq!(
        path("any", AnthropicMessages),
        Some("/anthropic/v1/messages")
    );
    assert_eq!(
        path("mine-text-1", OpenaiChat),
        Some("/text/chat/completions")
    );
    assert_eq!(path("mine-text-1", AnthropicMessages), None);
}

#[test]
fn a_format_has_its_other_calls_where_the_file_says_so() {
    let path = |toml: &str, model: &str, operation| {
        let provider = parsed(toml);
        let rule = provider.rule(model, FormatId::AnthropicMessages)?.clone();
        rule.call_path(operation, model, None)
            .map(|path| path.into_owned())
    };
    let counts = Some(Operation::CountTokens);
    let main = Some("/anthropic/v1/messages".to_owned());
    assert_eq!(path(FULL, "any", None), main);
    assert_eq!(path(FULL, "any", counts), None);
    let named = FULL.replace(
        "path = \"/anthropic/v1/messages\"",
        "path = \"/anthropic/v1/messages\"\noperations = { count_tokens = \"/count\" }",
    );
    assert_eq!(path(&named, "any", None), main);
    assert_eq!(path(&named, "any", counts).as_deref(), Some("/count"));
    assert_eq!(path(&named, "mine-text-1", counts), None);
    for (format, operation, count) in [
        (
            "anthropic",
            "count_tokens = \"count\"",
            "a path without a slash",
        ),
        ("anthropic", "count = \"/count\"", "an unknown operation"),
        (
            "text",
            "count_tokens = \"/count\"",
            "another format's operation",
        ),
    ] {
        let path = match format {
            "text" => "path = \"/text/chat/completions\"",
            _ => "path = \"/anthropic/v1/messages\"",
        };
        let toml = FULL.replace(path, &format!("{path}\noperations = {{ {operation} }}"));
        let refusal = Provider::parse("my-provider.toml", &toml).expect_err(count);
        assert_eq!(refusal.field, "operations", "{count}: {refusal}");
    }
}

#[test]
fn a_probe_is_one_token_or_a_plain_get() {
    let call = parsed(FULL).probe_request().expect("a probe");
    assert_eq!(
        (call.method, call.path.as_str()),
        (Method::POST, "/v1/chat/completions")
    );
    let body: serde_json::Value = serde_json::from_slice(&call.body).expect("JSON");
    assert_eq!(
        (&body["model"], &body["max_tokens"]),
        (&"mine-small".into(), &1.into())
    );

    let newer = FULL.replace(
        "model = \"mine-small\"\n\n[[formats]]",
        "model = \"mine-small\"\ntoken_limit = \"max_completion_tokens\"\n\n[[formats]]",
    );
    let call = parsed(&newer).probe_request().expect("a probe");
    let body: serde_json::Value = serde_json::from_slice(&call.body).expect("JSON");
    assert_eq!(body["max_completion_tokens"], 1);

    let get = FULL.replace(
        "format = \"openai_chat\"\nmodel = \"mine-small\"",
        "get = \"/me?x=1&y=2\"",
    );
    let get = parsed(&get).probe_request().expect("a probe");
    assert_eq!(
        (get.method, get.path.as_str()),
        (Method::GET, "/me?x=1&y=2")
    );
    assert!(get.body.is_empty() && get.rule.is_none());
}

#[test]
fn only_active_providers_with_a_format_serve_models() {
    for status in ["staging", "suspended", "withdrawn"] {
        let toml = FULL.replace("\"active\"", &format!("\"{status}\""));
        let provider = parsed(&toml);
        assert_eq!(provider.status.as_str(), status);
        assert!(!provider.serves_models());
    }
}

#[test]
fn a_gateways_slugs_are_plain_words() {
    let gateway = |slug: &str| {
        let table = format!("[slugs]\nxai = \"{slug}\"\n[key]");
        let toml = FULL
            .replace("\"third_party\"", "\"gateway\"")
            .replace("[key]", &table);
        Provider::parse("my-provider.toml", &toml)
    };
    let provider = gateway("x-ai").expect("a provider file");
    let xai = "xai".parse().expect("a provider id");
    assert_eq!(provider.slugs.get(&xai).map(String::as_str), Some("x-ai"));
    for bad in ["", "x/ai", "x ai", &"x".repeat(65)] {
        assert_eq!(gateway(bad).expect_err(bad).field, "xai", "{bad}");
    }
}

/// Replaces `from` in the full file and returns the refusal.
pub(super) fn refusal(from: &str, to: &str) -> FileError {
    let toml = FULL.replacen(from, to, 1);
    assert_ne!(toml, FULL, "{from} is not in the file");
    let refusal = Provider::parse("my-provider.toml", &toml);
    refusal.expect_err(&format!("{from} became {to}"))
}

#[test]
fn a_refusal_names_file_line_and_field() {
    let error = refusal("HTTPS://Models.Example:443/api/", "http://models.example");
    assert_eq!(
        error.to_string(),
        "provider file my-provider.toml, line 4, field `base_url`: a base URL begins with https:// \
         (http:// only for this machine, where allowed)"
    );
    for (from, to, line, field) in [
        ("id = \"my", "id = \"My", 2, "id"),
        ("\"My Provider\"", "\"\"", 3, "name"),
        ("\"My Provider\"", "\"a\\nb\"", 3, "name"),
        ("\"active\"", "\"activ\"", 5, "status"),
        ("\"third_party\"", "7", 6, "kind"),
        ("MY_PROVIDER_API_KEY", "my key", 7, "env"),
        ("\"mine-*\"", "\"mine **\"", 8, "native_patterns"),
        ("\"byok\", ", "\"free\", ", 11, "modes"),
        ("modes", "mode", 11, "mode"),
        ("\"authorization\"", "\"Authorization\"", 14, "header"),
        ("\"authorization\"", "\"a b\"", 14, "header"),
        ("\"authorization\"", "\"host\"", 14, "header"),
        ("\"Bearer\"", "\"Bearer \"", 15, "scheme"),
        ("\"Bearer\"", "\"\"", 15, "scheme"),
        ("x-version", "authorization", 18, "authorization"),
        ("x-version", "x-api-key", 18, "x-api-key"),
        ("x-version", "content-length", 18, "content-length"),
        ("\"2\"", "\"a\\r\\nb: c\"", 18, "x-version"),
        (
            "https://models.example/keys",
            "javascript:alert(1)",
            22,
            "url",
        ),
        (
            "format = \"openai_chat\"\nmodel",
            "format = \"openai_text\"\nmodel",
            25,
            "format",
        ),
        ("\"/v1/chat", "\"/v1/../chat", 30, "path"),
        ("\"/v1/chat", "\"v1/chat", 30, "path"),
        ("\"/v1/chat", "\"/v1//chat", 30, "path"),
        ("\"/v1/chat", "\"/v1/%2e%2e/chat", 30, "path"),
        ("completions\"", "completions?key=1\"", 30, "path"),
        ("\"mine-text-*\"", "\"\"", 37, "pattern"),
        ("\"image\"", "\"smell\"", 43, "input_modalities"),
        ("32_000", "-1", 44, "context_tokens"),
        ("max_output_tokens", "max_outputs", 45, "max_outputs"),
    ] {
        let error = refusal(from, to);
        assert_eq!(
            (error.line, error.field.as_str()),
            (line, field),
            "{from} -> {to}: {error}"
        );
        assert!(!error.message.is_empty());
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    for (from, to) in [
        ("id = \"mine-text-1\"", "id = \"mine-small\""),
        ("id = \"mine-text-1\"", "id = \"a b\""),
        ("model = \"mine-small\"", "get = \"/x\""),
        ("model = \"mine-small\"", ""),
        (
            "format = \"openai_chat\"\nmodel = \"mine-small\"",
            "get = \"/x\"\ntoken_limit = \"max_tokens\"",
        ),
        (
            "format = \"openai_chat\"\nmodel = \"mine-small\"",
            "get = \"/x?a b\"",
        ),
        (
            "format = \"openai_chat\"\nmodel = \"mine-small\"",
            "format = \"anthropic_messages\"\nmodel = \"mine-text-9\"",
        ),
        // A picture costs too much for a proof.
        (
            "format = \"openai_chat\"\nmodel = \"mine-small\"\n\n[[formats]]",
            "format = \"openai_images\"\nmodel = \"mine-small\"\n\n[[formats]]\nformat = \"openai_images\"\npath = \"/i\"\n[[formats]]",
        ),
        ("status = \"active\"\n", ""),
        ("[key]", "[key]\napi_key = \"sk-1\""),
        // Only a gateway has names for others.
        ("[key]", "[slugs]\nopenai = \"openai\"\n[key]"),
        (
            "id = \"my-provider\"",
            "id = \"my-provider\"\nid = \"other\"",
        ),
        ("id = \"my-provider\"", "id = "),
        (
            "[auth]\nheader = \"authorization\"",
            "[auth]\nheader = \"authorization\"\nkey = \"sk-1\"",
        ),
    ] {
        refusal(from, to);
    }
}

#[test]
fn lines_are_found_in_any_text() {
    assert_eq!(locate("", &(0..0)), (1, String::new()));
    assert_eq!(locate("a = 1\n[b]\nc = 2", &(99..120)), (3, "c".to_owned()));
    assert_eq!(locate("a = 1\n[[b]]\n", &(6..8)), (2, "b".to_owned()));
    assert_eq!(locate("é = 1", &(1..2)), (1, "é".to_owned()));
}

#[test]
fn a_key_is_looked_for_under_the_prefixes_and_then_under_the_names_of_the_file() {
    let names = |toml: &str| parsed(toml).key_variables();
    let prefixed = [
        "KEYBEARER_MY_PROVIDER_API_KEY",
        "BITROUTER_MY_PROVIDER_API_KEY",
    ];
    assert_eq!(
        names(FULL),
        [&prefixed[..], &["MY_PROVIDER_API_KEY"]].concat()
    );
    // Never a plain name that the file does not declare.
    let undeclared = FULL.replace("env = [\"MY_PROVIDER_API_KEY\"]\n", "");
    assert_eq!(names(&undeclared), prefixed);
    let again = FULL.replace("\"MY_PROVIDER_API_KEY\"", "\"X\", \"X\"");
    assert_eq!(names(&again), [&prefixed[..], &["X"]].concat());
}
