//! Blocks that stand in requests and in answers alike.

use serde_json::value::RawValue;

use crate::neutral::{Call, Carrier, Fields, NotTranslatable, Object, Proof, Thinking};

/// A block of thinking.
pub(super) fn thinking(kind: &str, fields: &mut Fields<'_>) -> Result<Thinking, NotTranslatable> {
    if kind == "redacted_thinking" {
        return Ok(Thinking {
            text: String::new(),
            proof: Some(Proof::Sealed(fields.needed_text("data")?)),
        });
    }
    let text = fields.text("thinking")?.unwrap_or_default();
    let signature = fields.text("signature")?.unwrap_or_default();
    let proof = Carrier::Signature.read(&signature, "");
    Ok(Thinking { text, proof })
}

/// A call of a tool, its input as the text that it was.
pub(super) fn call(fields: &mut Fields<'_>) -> Result<Call, NotTranslatable> {
    Ok(Call {
        id: fields.needed_text("id")?,
        name: fields.needed_text("name")?,
        arguments: fields.take("input").map_or("{}", RawValue::get).to_owned(),
    })
}

/// The block for `thinking`.
pub(super) fn write_thinking(thinking: &Thinking) -> Object {
    match &thinking.proof {
        Some(Proof::Sealed(data)) => Object::typed("redacted_thinking").with("data", data),
        proof => {
            let signature = proof.as_ref().map(|it| Carrier::Signature.write(it));
            Object::typed("thinking")
                .with("thinking", &thinking.text)
                .with("signature", &signature.unwrap_or_default())
        }
    }
}

/// The block for `call`. `None`: its arguments are no JSON object, and the format takes nothing else.
pub(super) fn write_call(call: &Call) -> Option<Object> {
    let arguments = match call.arguments.trim() {
        "" => "{}",
        text => text,
    };
    let input: &RawValue = serde_json::from_str(arguments).ok()?;
    let is_object = input.get().starts_with('{');
    is_object.then(|| {
        Object::typed("tool_use")
            .with("id", &call.id)
            .with("name", &call.name)
            .with("input", input)
    })
}
