use std::collections::BTreeMap;

use domain::glob::Glob;

use super::*;
use crate::format::FormatId;
use crate::provider::tests::{FULL, parsed};
use crate::provider::{FileError, Provider};

/// What [`FULL`] says of its messages, in Gemini's place.
fn gemini(rule: &str) -> String {
    let messages = "format = \"anthropic_messages\"\npath = \"/anthropic/v1/messages\"";
    FULL.replace(
        messages,
        &format!("format = \"gemini_generate_content\"\n{rule}"),
    )
}

#[test]
fn a_path_may_name_the_model_and_the_rule_another_place_for_the_key() {
    let provider = parsed(&gemini(
        "path = \"/models/{model}:{action}\"\nstrip = \"/api\"\nauth = { header = \"x-goog-api-key\" }",
    ));
    let rule = provider
        .rule("any", FormatId::GeminiGenerateContent)
        .expect("a rule");
    let path = |model, action| rule.call_path(None, model, action).map(Cow::into_owned);
    for (model, encoded) in [
        ("gemini-3.5_x~", "gemini-3.5_x~"),
        ("a/b c", "a%2Fb%20c"),
        ("a..b/...", "a..b%2F..."),
        ("é?#:@", "%C3%A9%3F%23%3A%40"),
    ] {
        let expected = format!("/models/{encoded}:countTokens");
        assert_eq!(path(model, Some("countTokens")), Some(expected));
    }
    for model in ["..", "a/../b", "a\\..", "./a", "a%2Fb", "%"] {
        assert_eq!(path(model, Some("countTokens")), None, "{model}");
    }
    assert_eq!(path("m", None), None);
    let place = rule.key_place.as_ref().expect("a place");
    assert_eq!(
        (place.header.as_str(), &place.scheme),
        ("x-goog-api-key", &None)
    );
    let chat = provider.rule("any", FormatId::OpenaiChat).expect("a rule");
    assert_eq!(
        chat.call_path(None, "m", None).as_deref(),
        Some("/v1/chat/completions")
    );
    assert_eq!(chat.call_path(None, "m", Some("countTokens")), None);
    assert_eq!(
        (chat.base("https://a.test"), &chat.key_place),
        (Some("https://a.test"), &None)
    );

    let probed = gemini("path = \"/models/{model}:{action}\"\nstrip = \"/api\"");
    let probed = probed.replacen(
        "format = \"openai_chat\"",
        "format = \"gemini_generate_content\"",
        1,
    );
    let probe = parsed(&probed).probe_request().expect("a probe");
    assert_eq!(probe.path, "/models/mine-small:generateContent");
    assert_eq!(
        probe.rule.and_then(|rule| rule.strip).as_deref(),
        Some("/api")
    );
}

#[test]
fn what_is_left_off_a_base_url_is_never_its_host() {
    let strip = |strip: &str| FormatRule {
        pattern: Glob::parse("*").expect("a pattern"),
        format: FormatId::GeminiGenerateContent,
        path: "/models/{model}:{action}".to_owned(),
        operations: BTreeMap::new(),
        strip: Some(strip.to_owned()),
        key_place: None,
    };
    for (base_url, rest) in [
        (
            "https://a.test/v1beta/openai",
            Some("https://a.test/v1beta"),
        ),
        (
            "http://127.0.0.1:8080/openai",
            Some("http://127.0.0.1:8080"),
        ),
        (
            "https://a.test/openai/openai",
            Some("https://a.test/openai"),
        ),
        ("https://a.test/v1beta/xopenai", None),
        ("https://a.test/v1beta/openai/", None),
        ("https://a.test/v1beta", None),
        ("https://a.test", None),
        ("https://openai", None),
        ("https://openai/", None),
        ("openai", None),
    ] {
        assert_eq!(strip("/openai").base(base_url), rest, "{base_url}");
    }
    assert_eq!(strip("//openai").base("https://openai"), None);
}

#[test]
fn a_rule_that_leads_nowhere_is_refused() {
    let good = "path = \"/models/{model}:{action}\"\nstrip = \"/api\"\nauth = { header = \"x-goog-api-key\" }";
    let refused = |from: &str, to: &str| -> FileError {
        let toml = gemini(&good.replace(from, to));
        assert_ne!(toml, gemini(good), "{from}");
        let refusal = Provider::parse("my-provider.toml", &toml);
        refusal.expect_err(&format!("{from} became {to}"))
    };
    for (from, to, field) in [
        (":{action}", "", "path"),
        ("{model}:{action}", "m:generateContent", "path"),
        ("{action}", "{action}/x", "path"),
        ("/models/{model}", "/{model}/{model}", "path"),
        ("/models/", "/models", "path"),
        ("/models/", "", "path"),
        ("/models/", "/../", "path"),
        ("/models/", "/models//", "path"),
        ("/models/", "/models?key=1/", "path"),
        ("\"/api\"", "\"/v1\"", "strip"),
        ("\"/api\"", "\"api\"", "strip"),
        ("\"/api\"", "\"\"", "strip"),
        ("\"/api\"", "\"/models.example/api\"", "strip"),
        ("x-goog-api-key", "X-Goog-Api-Key", "auth"),
        ("x-goog-api-key", "host", "auth"),
        ("x-goog-api-key", "x-version", "auth"),
        ("\" }", "\", scheme = \"a b\" }", "auth"),
        ("{ header", "{ extra = \"x\", header", "auth"),
    ] {
        let error = refused(from, to);
        assert_eq!(error.field, field, "{from} -> {to}: {error}");
    }
    // A path that names no model is for formats whose path does not.
    let chat = FULL.replace("/text/chat/completions", "/models/{model}:{action}");
    assert!(Provider::parse("my-provider.toml", &chat).is_err());
}
