//! A body with a list of models is one without it that says all else as before, and its models are those of the list.

use bytes::Bytes;
use llm::head::{self, MAX_MODELS};
use serde_json::Value;

/// Stands in the names of fields that serde_json's own values take for a text with JSON in it, and no other parser does.
const OF_SERDE_JSON: &[u8] = b"::private::";

pub(crate) fn holds(input: &[u8]) {
    if input
        .windows(OF_SERDE_JSON.len())
        .any(|it| it == OF_SERDE_JSON)
    {
        return;
    }
    let alone = head::read(input);
    let Ok(listed) = head::read_listed(Bytes::copy_from_slice(input)) else {
        return;
    };
    let before: Value = serde_json::from_slice(input).expect("what was read is JSON");
    let after: Value = serde_json::from_slice(&listed.body).expect("what is passed on is JSON");
    assert_eq!(head::read(&listed.body).as_ref(), Ok(&listed.head));
    assert_eq!(after["model"], listed.head.model);
    let names: Vec<&str> = std::iter::once(listed.head.model.as_str())
        .chain(listed.others.iter().map(String::as_str))
        .collect();
    assert!(names.len() <= MAX_MODELS + 1);
    assert!((1..names.len()).all(|at| !names[..at].contains(&names[at])));
    let list = before["models"].as_array();
    match list {
        None => {
            assert_eq!(listed.body, input);
            assert_eq!(alone.as_ref(), Ok(&listed.head));
        }
        Some(list) => {
            assert_eq!(after.get("models"), None);
            for name in &names {
                assert!(list.contains(&Value::from(*name)) || before["model"] == *name);
            }
            assert!(
                list.iter()
                    .all(|name| names.contains(&name.as_str().expect("a name")))
            );
            let (mut before, mut after) = (before.clone(), after);
            for body in [&mut before, &mut after] {
                let fields = body.as_object_mut().expect("an object");
                fields.remove("models");
                fields.remove("model");
            }
            assert_eq!(after, before);
        }
    }
}
