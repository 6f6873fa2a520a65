use bytes::Bytes;
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::super::{MAX_MODEL_BYTES, MAX_MODELS, with_model};
use super::*;

fn read(body: &str, model: &str) -> Result<Head, HeadError> {
    read_beside(body.as_bytes(), model, false)
}

#[test]
fn the_paths_model_and_stream_count_whatever_else_the_body_says() {
    for body in [
        "{}",
        " { \"contents\" : [] } ",
        r#"{"stream":"yes","n":7,"max_tokens":9,"contents":[{"model":"x"}],"generationConfig":{"model":"x"}}"#,
        r#"{"Model":"x","generationConfig":7,"requests":"x","generateContentRequest":null}"#,
    ] {
        for stream in [false, true] {
            let head = read_beside(body.as_bytes(), "m", stream).expect(body);
            assert_eq!((head.model.as_str(), head.stream), ("m", stream));
            assert_eq!((head.output_limit, head.choices), (None, None), "{body}");
            assert!(head.model_spans.is_empty());
            let body = Bytes::from(body);
            assert_eq!(with_model(&body, &head, "other"), body);
        }
    }
}

#[test]
fn limit_and_choices_are_read_under_both_names() {
    for (config, limit, choices) in [
        (r#"{"generationConfig":{}}"#, None, None),
        (
            r#"{"generationConfig":{"maxOutputTokens":7,"candidateCount":2}}"#,
            Some(7),
            Some(2),
        ),
        (
            r#"{"generation_config":{"max_output_tokens":7,"candidate_count":2}}"#,
            Some(7),
            Some(2),
        ),
        (
            r#"{"generation_config":{"max_output_tokens":7},"generationConfig":{"maxOutputTokens":9,"max_output_tokens":8}}"#,
            Some(9),
            None,
        ),
        (
            r#"{"generationConfig":{"maxOutputTokens":-7,"candidateCount":"two"}}"#,
            None,
            None,
        ),
        (r#"{"maxOutputTokens":7,"candidateCount":2}"#, None, None),
        (
            r#"{"contents":[{"generationConfig":{"maxOutputTokens":7}}]}"#,
            None,
            None,
        ),
    ] {
        let head = read(config, "m").expect(config);
        assert_eq!(
            (head.output_limit, head.choices),
            (limit, choices),
            "{config}"
        );
    }
}

#[test]
fn a_model_in_the_body_is_the_paths_or_the_call_is_refused() {
    let batch = r#"{"requests":[{"model":"models/a/b","content":{}},{"model":"a/b"},{}]}"#;
    for (body, changed) in [
        (r#"{"model":"models/a/b"}"#, r#"{"model":"models/n"}"#),
        (
            r#"{"model":"a/b","contents":[]}"#,
            r#"{"model":"models/n","contents":[]}"#,
        ),
        (
            r#"{"generateContentRequest":{"model" : "models\/a\u002fb","contents":[]}}"#,
            r#"{"generateContentRequest":{"model" : "models/n","contents":[]}}"#,
        ),
        (
            batch,
            r#"{"requests":[{"model":"models/n","content":{}},{"model":"models/n"},{}]}"#,
        ),
    ] {
        let head = read(body, "a/b").expect(body);
        let bytes = Bytes::from(body);
        assert_eq!(with_model(&bytes, &head, "a/b"), bytes, "untouched");
        assert_eq!(with_model(&bytes, &head, "n"), changed);
    }
    for body in [
        r#"{"model":"models/other"}"#,
        r#"{"model":"models/models/a/b"}"#,
        r#"{"model":7}"#,
        r#"{"model":null}"#,
        r#"{"requests":[{"model":"models/a/b"},{"model":"models/other"}]}"#,
        r#"{"requests":{"model":"other"}}"#,
        r#"{"requests":[[{"model":"other"}]]}"#,
        r#"{"generate_content_request":{"model":"other"}}"#,
    ] {
        assert_eq!(read(body, "a/b"), Err(HeadError::OtherModel), "{body}");
    }
    let twice = r#"{"requests":[{"model":"m","model":"m"}]}"#;
    assert_eq!(read(twice, "m"), Err(HeadError::Repeated("model")));
}

#[test]
fn what_is_no_whole_object_or_no_model_is_refused() {
    for body in ["", "{", "{}x", r#"{"a":"\ud800"}"#, "{\"a\":\"\u{1}\"}"] {
        assert!(
            matches!(read(body, "m"), Err(HeadError::Json { .. })),
            "{body}"
        );
    }
    let number = read(r#"{"a":1e400}"#, "m");
    assert!(matches!(number, Err(HeadError::Number { .. })));
    for body in ["[]", "7", "null", "\"x\""] {
        assert_eq!(read(body, "m"), Err(HeadError::NotAnObject), "{body}");
    }
    let deep = format!(
        r#"{{"requests":{}{}}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    assert!(matches!(read(&deep, "m"), Err(HeadError::TooDeep { .. })));
    let longest = "x".repeat(MAX_MODEL_BYTES);
    assert!(read("{}", &longest).is_ok());
    for model in ["", &format!("{longest}x"), "a\nb", "a\u{85}"] {
        assert_eq!(read("{}", model), Err(HeadError::PathModel));
    }
}

#[test]
fn numbers_count_in_every_spelling_that_google_reads() {
    for (written, count) in [
        ("8", Some(8)),
        ("8.0", Some(8)),
        ("8e0", Some(8)),
        (r#""8""#, Some(8)),
        (r#"" 8.0 ""#, Some(8)),
        (r#""x""#, None),
        ("null", None),
        ("7.2", Some(8)),
        (r#""Infinity""#, Some(u64::MAX)),
        ("-8", None),
        (r#""NaN""#, None),
        ("[8]", None),
    ] {
        let body = format!(
            r#"{{"generationConfig":{{"candidateCount":{written},"max_output_tokens":{written}}}}}"#
        );
        let head = read(&body, "m").expect("a request");
        assert_eq!(
            (head.choices, head.output_limit),
            (count, count),
            "{written}"
        );
    }
}

#[test]
fn a_batch_has_a_limit() {
    let batch = |requests: usize| {
        let requests = vec![r#"{"model":"m"}"#; requests].join(",");
        format!(r#"{{"requests":[{requests}]}}"#)
    };
    let most = read(&batch(MAX_REQUESTS), "m").expect("a batch");
    assert_eq!(most.model_spans.len(), MAX_REQUESTS);
    let more = batch(MAX_REQUESTS + 1);
    assert_eq!(read(&more, "m"), Err(HeadError::Requests));
    // However it is said that there are so many.
    let said_often = r#""generateContentRequest":{"model":"m"},"#.repeat(MAX_REQUESTS + 1);
    let body = format!(r#"{{{said_often}"contents":[]}}"#);
    assert_eq!(read(&body, "m"), Err(HeadError::Requests));
    let nested = more.replace("[{", "[[{").replace("}]", "}]]");
    assert_eq!(read(&nested, "m"), Err(HeadError::Requests));
    // Broken JSON is told first.
    assert!(matches!(
        read(&more[..more.len() - 1], "m"),
        Err(HeadError::Json { .. })
    ));
}

fn listed(body: &str) -> Result<Listed, HeadError> {
    read_beside_listed(Bytes::copy_from_slice(body.as_bytes()), "m", false)
}

#[test]
fn a_list_of_models_is_taken_out_and_every_other_byte_stays() {
    for (body, left, others) in [
        ("{ }", "{ }", &[][..]),
        (r#"{"models":["a"]}"#, "{}", &["a"]),
        (r#"{ "models" : [ "a" ] }"#, "{  }", &["a"]),
        (
            r#"{"models":["b","a"],"contents":[]}"#,
            r#"{"contents":[]}"#,
            &["b", "a"],
        ),
        (
            r#"{"contents":[{"models":["x"]}] , "models" : ["a"] }"#,
            r#"{"contents":[{"models":["x"]}]  }"#,
            &["a"],
        ),
        (
            r#"{"contents":[],"mod\u0065ls":["models/a","google/b","m"],"model":"models/m"}"#,
            r#"{"contents":[],"model":"models/m"}"#,
            &["a", "google/b"],
        ),
        (r#"{"models":["m"],"x":1}"#, r#"{"x":1}"#, &[]),
        (r#"{"x":1,"models":null}"#, r#"{"x":1}"#, &[]),
    ] {
        let listed = listed(body).expect(body);
        assert_eq!(listed.body, left, "{body}");
        assert_eq!(listed.others, others, "{body}");
        assert_eq!(Ok(listed.head), read(left, "m"), "{body}");
    }
}

#[test]
fn a_list_of_models_that_is_none_is_refused() {
    let many: Vec<String> = (0..=MAX_MODELS).map(|n| format!("m{n}")).collect();
    for list in [
        "[]".to_owned(),
        r#""a""#.to_owned(),
        "[7]".to_owned(),
        r#"["a","a"]"#.to_owned(),
        r#"["a","models/a"]"#.to_owned(),
        r#"["models/"]"#.to_owned(),
        serde_json::json!(many).to_string(),
    ] {
        let body = format!(r#"{{"models":{list}}}"#);
        assert_eq!(listed(&body), Err(HeadError::Models), "{body}");
    }
    let twice = r#"{"models":["a"],"models":["b"]}"#;
    assert_eq!(listed(twice), Err(HeadError::Repeated("models")));
}

proptest! {
    #[test]
    fn only_the_names_are_replaced(
        count in 0_usize..5, text in "[ -~]{0,12}", model in "[a-z/\"\u{e9}-]{1,8}", at in any::<prop::sample::Index>(),
    ) {
        let requests: Vec<_> = (0..count)
            .map(|_| serde_json::json!({"content": {"parts": [{"text": text}]}, "model": format!("models/{model}")}))
            .collect();
        let body = serde_json::json!({"requests": requests}).to_string();
        let head = read(&body, &model).expect("a batch");
        prop_assert_eq!(head.model_spans.len(), count);
        let changed = with_model(&Bytes::from(body.clone()), &head, "new");
        let mut expected: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        for request in expected["requests"].as_array_mut().expect("a list") {
            request["model"] = "models/new".into();
        }
        let changed: serde_json::Value = serde_json::from_slice(&changed).expect("JSON");
        prop_assert_eq!(changed, expected);
        // Cut anywhere it is no whole request.
        let cut = at.index(body.len());
        prop_assert!(body.is_char_boundary(cut) && read(&body[..cut], &model).is_err() || !body.is_char_boundary(cut));
    }
}
