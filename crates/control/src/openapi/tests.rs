//! What holds for the whole document.

use super::*;

#[test]
fn every_operation_says_what_it_is_and_who_may_call_it() {
    let document = openapi();
    let mut ids = Vec::new();
    for (path, item) in &document.paths.paths {
        for (method, operation) in operations(item) {
            let at = format!("{method} {path}");
            let _ = action(operation);
            assert!(
                operation
                    .summary
                    .as_ref()
                    .is_some_and(|text| !text.is_empty()),
                "{at}"
            );
            for (status, response) in &operation.responses.responses {
                let RefOr::T(response) = response else {
                    panic!("{at}: responses are written out");
                };
                assert!(!response.description.is_empty(), "{at}: {status}");
            }
            for status in ["421", "500"] {
                let listed = operation.responses.responses.contains_key(status);
                assert!(listed, "{at}: {status}");
            }
            assert_eq!(operation.tags.as_ref().map(Vec::len), Some(1), "{at}");
            ids.push(operation.operation_id.clone().expect("an operation id"));
        }
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
    assert!(count >= 50, "{count} operations");
}

#[test]
fn closed_sets_are_enums() {
    let text = openapi().to_json().expect("serializes");
    let document: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
    let property = |schema: &str, name: &str| {
        let schemas = &document["components"]["schemas"];
        schemas[schema]["properties"][name].clone()
    };
    for (schema, name, value) in [
        ("MemberView", "role", "owner"),
        ("WorkspaceView", "role", "owner"),
        ("NewRole", "role", "admin"),
        ("NewInvitation", "role", "admin"),
        ("ProviderKeyView", "scope", "account"),
        ("FailureView", "kind", "no_quota"),
        ("ByokKey", "last_failure_kind", "no_quota"),
        ("ProviderView", "kind", "search"),
        ("ProviderView", "status", "withdrawn"),
        ("ProviderView", "token_limit", "max_tokens"),
        ("InstanceView", "submission", "both"),
        ("AuditView", "outcome", "probe_failed"),
    ] {
        let values = property(schema, name)["enum"].clone();
        let values = values.as_array().cloned().unwrap_or_default();
        assert!(
            values.contains(&value.into()),
            "{schema}.{name}: {values:?}"
        );
    }
    for (schema, name, value) in [
        ("NewApiKey", "scopes", "inference:invoke"),
        ("ApiKeyView", "scopes", "audit:read"),
        ("ProviderView", "payment_modes", "byok"),
        ("ProviderView", "formats", "openai_chat"),
    ] {
        let values = property(schema, name)["items"]["enum"].clone();
        let values = values.as_array().cloned().unwrap_or_default();
        assert!(
            values.contains(&value.into()),
            "{schema}.{name}: {values:?}"
        );
    }
    for (schema, name) in [("MemberView", "role"), ("NewApiKey", "scopes")] {
        let required = &document["components"]["schemas"][schema]["required"];
        let required = required.as_array().expect("a list");
        assert!(required.contains(&name.into()), "{schema}.{name}");
    }
}

#[test]
fn lists_say_whether_they_page() {
    let document = openapi();
    for (path, item) in &document.paths.paths {
        for (method, operation) in operations(item) {
            let id = operation.operation_id.as_deref().unwrap_or_default();
            if !id.starts_with("list_") {
                continue;
            }
            let parameters = operation.parameters.iter().flatten();
            let pages = parameters
                .filter(|it| matches!(it, RefOr::T(it) if it.name == "limit"))
                .count();
            let says = operation.description.as_deref().unwrap_or_default();
            let expected = match pages {
                0 => "All in one answer",
                _ => "In pages",
            };
            assert!(says.contains(expected), "{method} {path}: {says}");
        }
    }
}

#[test]
fn every_action_of_the_control_plane_is_used() {
    let document = openapi();
    let used: Vec<_> = document
        .paths
        .paths
        .values()
        .flat_map(|item| operations(item).filter_map(|(_, operation)| action(operation)))
        .collect();
    for wanted in Action::ALL {
        assert_eq!(used.contains(wanted), *wanted != Action::Invoke, "{wanted}");
    }
}

#[test]
fn the_document_is_openapi_3_1_and_no_reference_dangles() {
    let text = openapi().to_json().expect("serializes");
    let document: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
    assert_eq!(document["openapi"], "3.1.0");
    let schemas = document["components"]["schemas"]
        .as_object()
        .expect("schemas");
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().expect("a name");
        assert!(schemas.contains_key(name), "{name}");
    }
}

/// Every property of a schema, also inside of combined ones: its path, and itself.
fn properties(at: &str, schema: &serde_json::Value, found: &mut Vec<(String, serde_json::Value)>) {
    let members = schema["properties"].as_object().into_iter().flatten();
    for (name, property) in members {
        let at = format!("{at}.{name}");
        properties(&at, property, found);
        properties(&at, &property["items"], found);
        found.push((at, property.clone()));
    }
    for combined in ["allOf", "anyOf", "oneOf"] {
        for part in schema[combined].as_array().into_iter().flatten() {
            properties(at, part, found);
        }
    }
}

/// Whether it says what it is, or is a reference that does; one that may be `null` has the text beside it.
fn is_described(schema: &serde_json::Value) -> bool {
    let says = |schema: &serde_json::Value| {
        let text = schema["description"].as_str();
        text.is_some_and(|text| text.len() > 3)
    };
    let parts = schema["oneOf"].as_array().into_iter().flatten();
    says(schema) || parts.into_iter().any(says)
}

#[test]
fn every_property_says_what_it_is_and_every_list_what_is_in_it() {
    let text = openapi().to_json().expect("serializes");
    let document: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
    let schemas = document["components"]["schemas"]
        .as_object()
        .expect("schemas");
    let mut found = Vec::new();
    for (name, schema) in schemas {
        assert!(
            is_described(schema) || schema.get("allOf").is_some(),
            "{name}"
        );
        properties(name, schema, &mut found);
    }
    assert!(found.len() > 300, "{} properties", found.len());
    for (at, property) in found {
        assert!(is_described(&property), "{at}: {property}");
        let item = &property["items"];
        let bare = item["type"] == "object" && item.get("properties").is_none();
        assert!(!bare, "{at}: {property}");
        // Each name of a closed set is explained.
        let says = property["description"].as_str().unwrap_or_default();
        for values in [&property["enum"], &item["enum"]] {
            for value in values.as_array().into_iter().flatten() {
                let name = value.as_str().unwrap_or("null");
                assert!(says.contains(&format!("`{name}`: ")), "{at}: {name}");
            }
        }
    }
}

#[test]
fn operations_about_money_and_the_instance_say_more_than_their_name() {
    let document = openapi();
    let told = [
        "who pays",
        "credits",
        "plans",
        "instance settings",
        "instance accounts",
        "profiles",
        "platform keys",
    ];
    for (path, item) in &document.paths.paths {
        for (method, operation) in operations(item) {
            let tags = operation.tags.iter().flatten();
            if tags.into_iter().any(|tag| told.contains(&tag.as_str())) {
                let says = operation.description.as_deref().unwrap_or_default();
                let own = says.split("The same as `/").next().unwrap_or_default();
                assert!(own.len() > 40, "{method} {path}: {says}");
            }
        }
    }
}
