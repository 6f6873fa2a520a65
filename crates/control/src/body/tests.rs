//! What is said of bodies that do not fit.

use super::*;
use domain::ProviderId;
use serde_json::Value;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the refusals are of interest")]
struct Body {
    provider: ProviderId,
    scopes: Vec<u8>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Color {
    Red,
    Green,
    Blue,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only the refusals are of interest")]
struct Named {
    label: domain::Label,
    colors: Vec<Color>,
}

#[test]
fn a_name_outside_of_its_set_is_refused_with_the_set_and_without_an_echo() {
    // T79
    let secret = "sk-SECRET`, expected one of `sk-SECRET2` at line 1";
    for (body, field, allowed) in [
        (
            serde_json::json!({"label": "a", "colors": ["red", secret]}),
            "colors",
            serde_json::json!(["red", "green", "blue"]),
        ),
        (
            serde_json::json!({"label": secret, "colors": []}),
            "label",
            Value::Null,
        ),
    ] {
        let problem = parse::<Named>(body.to_string().as_bytes()).expect_err("refused");
        let answer = serde_json::to_value(problem.body("req")).expect("serializes");
        assert!(!answer.to_string().contains("SECRET"), "{answer}");
        assert_eq!(answer["details"]["field"], field);
        assert_eq!(answer["details"]["allowed"], allowed);
        let detail = answer["detail"].as_str().expect("a text");
        let says = match field {
            "label" => "1 to 64 characters",
            _ => "red, green, blue",
        };
        assert!(detail.contains(field) && detail.contains(says), "{detail}");
        assert!(answer.get("hint").is_none(), "{answer}");
    }
}

#[test]
fn a_member_that_is_unknown_is_answered_with_those_that_are_known() {
    let secret = "sk-SECRET`, expected one of `sk-SECRET2`";
    let body = serde_json::json!({"prices": [{ secret: 1 }]});
    #[derive(Debug, Deserialize)]
    struct Nested {
        #[expect(dead_code, reason = "only the refusal is of interest")]
        prices: Vec<domain::price::PriceOverride>,
    }
    let problem = parse::<Nested>(body.to_string().as_bytes()).expect_err("refused");
    let answer = serde_json::to_value(problem.body("req")).expect("serializes");
    assert!(!answer.to_string().contains("SECRET"), "{answer}");
    assert_eq!(answer["details"]["field"], "prices");
    let known = serde_json::json!(["provider", "model", "price"]);
    assert_eq!(answer["details"]["known"], known);
    let detail = answer["detail"].as_str().expect("a text");
    assert!(detail.contains("provider, model, price"), "{detail}");
}

fn refusal(text: &str) -> String {
    let problem = parse::<Body>(text.as_bytes()).expect_err("refused");
    serde_json::to_string(&problem.body("req")).expect("serializes")
}

#[test]
fn a_refusal_names_the_field_and_never_echoes_a_value() {
    for (body, field) in [
        (r#"{"provider":"sk-SECRET value","scopes":[]}"#, "provider"),
        (r#"{"provider":"openai","scopes":["sk-SECRET"]}"#, "scopes"),
        (
            r#"{"provider":"openai","scopes":[],"extra":"sk-SECRET"}"#,
            "extra",
        ),
        (r#"{"scopes":[1]}"#, "provider"),
        (
            "{\"provider\":\"openai\",\n\"scopes\":\"sk-SECRET\"}",
            "scopes",
        ),
        (
            r#"{"provider":"a","provider":"sk-SECRET","scopes":[]}"#,
            "provider",
        ),
    ] {
        let text = refusal(body);
        assert!(text.contains(&format!("\"field\":\"{field}\"")), "{text}");
        assert!(!text.contains("SECRET"), "{text}");
    }
}

#[test]
fn a_secret_in_the_place_of_a_name_is_not_echoed() {
    // T79
    let text = refusal(r#"{"sk-SECRET1234":1}"#);
    assert!(!text.contains("SECRET"), "{text}");
}

#[test]
fn broken_json_is_refused_by_place() {
    // T120
    for body in [
        "",
        "{",
        "[1",
        "{}x",
        "null",
        r#"["openai",[1]]"#,
        "\u{feff}{}",
        &"[".repeat(100_000),
    ] {
        let text = refusal(body);
        assert!(text.contains("invalid_request"), "{text}");
    }
}
