//! Which path is which endpoint's.

use super::*;

fn route(method: Method, path: &str) -> Option<Route> {
    find(&method, path).map(|endpoint| endpoint.0)
}

#[test]
fn paths_are_exact() {
    // T98
    for path in ["//v1/messages", "/V1/messages", "/v1", "/", "/api/v1/x"] {
        assert_eq!(route(Method::POST, path), None, "{path}");
    }
    let messages = Some(FormatId::AnthropicMessages);
    for (path, format) in [
        ("/v1/messages/", messages),
        ("/v1/messages;x", messages),
        ("/v1/mess%61ges", None),
        ("/v1/models/", None),
        ("/v1/modelsx", None),
        ("/v1/models/%zz", None),
        ("/v1/models/a%0d%0ab", None),
        ("/v1/chat", None),
        ("/v1/responses/", None),
        ("/v1/filesx", None),
        ("/v1/batchesx/a", None),
        ("/v1/", None),
    ] {
        let unknown = Some(Route::Unknown(format));
        assert_eq!(route(Method::POST, path), unknown, "{path}");
    }
    assert_eq!(route(Method::GET, "/v1/models"), Some(Route::Models(None)));
    let model = Some(Route::Model("openai/gpt-4o".to_owned(), None));
    assert_eq!(route(Method::GET, "/v1/models/openai/gpt-4o"), model);
    assert_eq!(route(Method::GET, "/v1/models/openai%2Fgpt-4o"), model);
}

#[test]
fn a_path_that_names_the_model_is_exact_but_for_the_name() {
    // T98
    let called = |path: &str| match route(Method::POST, path) {
        Some(Route::ModelCall(call, model)) => Some((call.path, model)),
        _ => None,
    };
    for action in [
        "generateContent",
        "streamGenerateContent",
        "countTokens",
        "embedContent",
        "batchEmbedContents",
    ] {
        for version in ["v1", "v1beta"] {
            let path = format!("/{version}/models/gemini-x:{action}");
            let (pattern, model) = called(&path).expect("a call");
            assert_eq!(model, "gemini-x");
            assert!(pattern.ends_with(&format!(":{action}")), "{pattern}");
        }
    }
    for (name, model) in [
        ("google/gemini-x", "google/gemini-x"),
        ("google%2Fgemini-x", "google/gemini-x"),
        ("ft:gpt:org::id", "ft:gpt:org::id"),
        ("x:generateContent", "x:generateContent"),
        ("..%2f..%2fx", "../../x"),
        ("%7Bmodel%7D", "{model}"),
        ("{model}", "{model}"),
        ("%C3%A9", "é"),
    ] {
        let found = called(&format!("/v1beta/models/{name}:generateContent"));
        assert_eq!(found.map(|(_, model)| model).as_deref(), Some(model));
    }
    let long = "x".repeat(100_000);
    assert!(called(&format!("/v1/models/{long}:countTokens")).is_some_and(|it| it.1 == long));
    let gemini = Some(GEMINI);
    for path in [
        "/v1beta/models/:generateContent",
        "/v1beta/models/x:generatecontent",
        "/v1beta/models/x:generateContent/",
        "/v1beta/models/x:generateContent:",
        "/v1beta/models/x%3AgenerateContent:x",
        "/v1beta/models/x:generateConten%74",
        "/v1beta/models/x:predict",
        "/v1beta/models/x%00:generateContent",
        "/v1beta/models/x%0a:generateContent",
        "/v1beta/models/x%c2%85:generateContent",
        "/v1beta/models/x%ff:generateContent",
        "/v1beta/models/x%2:generateContent",
        "/v1beta/models/",
        "/v1beta/modelsx",
        "/v1beta/tunedModels/x:generateContent",
        "/v1beta/openai/chat/completions",
        "/v1beta/",
    ] {
        assert_eq!(
            route(Method::POST, path),
            Some(Route::Unknown(gemini)),
            "{path}"
        );
    }
    for path in [
        "//v1beta/models/x:generateContent",
        "/V1beta/models",
        "/v1beta",
        "/v1alpha/models",
    ] {
        assert_eq!(route(Method::POST, path), None, "{path}");
    }
    let broken = route(Method::POST, "/v1/models/x%00:generateContent");
    assert_eq!(broken, Some(Route::Unknown(None)));
    assert_eq!(
        route(Method::GET, "/v1beta/models"),
        Some(Route::Models(gemini))
    );
    let model = Route::Model("google/gemini-x".to_owned(), gemini);
    assert_eq!(
        route(Method::GET, "/v1beta/models/google/gemini-x"),
        Some(model)
    );
    let wrong = Some(Route::WrongMethod("POST", gemini));
    for method in [Method::GET, Method::PUT, Method::TRACE] {
        assert_eq!(route(method, "/v1/models/x:generateContent"), wrong);
    }
    let wrong = Some(Route::WrongMethod("GET", gemini));
    assert_eq!(route(Method::POST, "/v1beta/models/x"), wrong);
}

#[test]
fn a_call_is_known_where_a_base_url_has_its_version_twice_or_not_at_all() {
    let looks_for = |path: &str| match route(Method::POST, path) {
        Some(Route::Elsewhere(call)) => Some(call.path),
        _ => None,
    };
    for (path, call) in [
        ("/chat/completions", "/v1/chat/completions"),
        ("/v1/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/v1/v1/messages", "/v1/messages"),
        ("/messages/count_tokens", "/v1/messages/count_tokens"),
        ("/images/generations", "/v1/images/generations"),
        (
            "/v1/v1beta/models/google/x:generateContent",
            "/v1beta/models/{model}:generateContent",
        ),
        (
            "/models/x:streamGenerateContent",
            "/v1beta/models/{model}:streamGenerateContent",
        ),
    ] {
        assert_eq!(looks_for(path), Some(call), "{path}");
    }
    for path in [
        "/v1/chat/completions",
        "/v1beta/chat/completionsx",
        "/x/chat/completions",
        "/models",
        "/models/x:predict",
        "/v1",
        "/",
        "",
    ] {
        assert_eq!(looks_for(path), None, "{path}");
    }
}

#[test]
fn the_control_planes_part_is_left_to_it() {
    for path in [
        "/v1/byok",
        "/v1/byok/",
        "/v1/byok/keys",
        "/v1/providers",
        "/v1/providers/x",
        "/v1/billing",
        "/v1/billing/credits",
    ] {
        assert_eq!(route(Method::GET, path), None, "{path}");
    }
    for path in ["/v1/byokx", "/v1/providersx", "/v1/x/byok"] {
        let unknown = Some(Route::Unknown(None));
        assert_eq!(route(Method::GET, path), unknown, "{path}");
    }
}

#[test]
fn other_methods_are_known_to_be_wrong() {
    // T130
    for method in [
        Method::GET,
        Method::PUT,
        Method::OPTIONS,
        Method::HEAD,
        Method::TRACE,
    ] {
        assert_eq!(
            route(method, "/v1/messages"),
            Some(Route::WrongMethod(
                "POST",
                Some(FormatId::AnthropicMessages)
            ))
        );
    }
    let wrong = Some(Route::WrongMethod("GET", None));
    assert_eq!(route(Method::POST, "/v1/models"), wrong);
    assert_eq!(route(Method::DELETE, "/v1/models/a"), wrong);
}

#[test]
fn what_is_listed_as_served_is_served_and_has_one_line() {
    // T95
    let served = served();
    for name in &served {
        let (method, path) = name.split_once(' ').expect("a method");
        let method = match method {
            "*" => Method::POST,
            method => method.parse().expect("a method"),
        };
        let path = path.replace("{provider}", "openai").replace("{path}", "a");
        // Where only what is below a path is served.
        let path = match path.strip_suffix('/') {
            Some(_) => format!("{path}a"),
            None => path,
        };
        let route = known(&method, &path).expect(name);
        assert!(!matches!(route, Route::WrongMethod(..)), "{name}");
        let others = served.iter().filter(|other| *other == name);
        assert_eq!(others.count(), 1, "{name}");
    }
}
