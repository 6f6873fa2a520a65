//! Items that stand in requests and in answers alike.

use crate::neutral::{
    Call, Carrier, Fields, NotTranslatable, Object, Proof, Thinking, Warnings, array,
};
use crate::translate::Echo;

/// A call of a function.
pub(super) fn call(fields: &mut Fields<'_>) -> Result<Call, NotTranslatable> {
    // The item's own id and state say nothing that the call does not.
    for name in ["id", "status"] {
        fields.take(name);
    }
    let namespace = fields.text("namespace")?;
    let name = fields.needed_text("name")?;
    Ok(Call {
        id: fields.needed_text("call_id")?,
        name: match namespace {
            Some(namespace) => in_namespace(&namespace, &name),
            None => name,
        },
        arguments: fields.text("arguments")?.unwrap_or_default(),
    })
}

/// An item of reasoning. Several parts of a summary are paragraphs of one.
pub(super) fn thinking(
    fields: &mut Fields<'_>,
    warnings: &mut Warnings,
) -> Result<Option<Thinking>, NotTranslatable> {
    let id = fields.text("id")?.unwrap_or_default();
    fields.take("status");
    let mut paragraphs = Vec::new();
    for name in ["summary", "content"] {
        for raw in fields.list(name)?.unwrap_or_default() {
            let mut part = Fields::of(raw, "input")?;
            paragraphs.extend(part.text("text")?);
        }
        if !paragraphs.is_empty() {
            // What was thought word for word, of which that is the summary.
            if fields.take("content").is_some_and(|it| it.get() != "[]") {
                warnings.dropped("reasoning");
            }
            break;
        }
    }
    let text = paragraphs.join("\n\n");
    let sealed = fields.text("encrypted_content")?.unwrap_or_default();
    let proof = Carrier::EncryptedContent.read(&sealed, &id);
    let empty = text.is_empty() && proof.is_none();
    Ok((!empty).then_some(Thinking { text, proof }))
}

/// The item for `thinking`. `id`: for one that has none of its own.
pub(super) fn write_thinking(thinking: &Thinking, id: &str) -> Object {
    let summary = (!thinking.text.is_empty())
        .then(|| Object::typed("summary_text").with("text", &thinking.text));
    let proof = thinking.proof.as_ref();
    let id = match proof {
        Some(Proof::Encrypted { id, .. }) if !id.is_empty() => id,
        _ => id,
    };
    Object::typed("reasoning")
        .with("id", id)
        .with("summary", array(summary))
        .maybe(
            "encrypted_content",
            proof.map(|it| crate::neutral::Json::from(&Carrier::EncryptedContent.write(it))),
        )
}

/// The name of a tool of a namespace in formats that have none.
pub(crate) fn in_namespace(namespace: &str, name: &str) -> String {
    format!("{namespace}__{name}")
}

/// The item for `call`, whose tool is one of a namespace if the client's request says so.
pub(super) fn write_call(call: &Call, echo: &Echo) -> Object {
    let (namespace, name) = match echo.in_namespace(&call.name) {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, call.name.as_str()),
    };
    Object::typed("function_call")
        .with("call_id", &call.id)
        .maybe("namespace", namespace)
        .with("name", name)
        .with("arguments", &call.arguments)
}
