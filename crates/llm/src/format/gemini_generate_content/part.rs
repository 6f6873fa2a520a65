//! Parts that stand in requests and in answers alike.

use serde_json::value::RawValue;

use crate::neutral::{Call, Carrier, Fields, Object, Part, Proof};

/// Adds what was thought, or more of it, or the proof of it.
pub(super) fn think(parts: &mut Vec<Part>, text: &str, proof: Option<Proof>) {
    if text.is_empty() && proof.is_none() {
        return;
    }
    if let Some(Part::Thinking(before)) = parts.last_mut()
        && before.proof.is_none()
    {
        before.text.push_str(text);
        before.proof = proof;
        return;
    }
    parts.push(Part::Thinking(crate::neutral::Thinking {
        text: text.to_owned(),
        proof,
    }));
}

/// The arguments of a call as the text that they were.
pub(super) fn call_arguments(call: &mut Fields<'_>) -> String {
    call.take("args").map_or("{}", RawValue::get).to_owned()
}

/// A text, with the signature of the thought before it.
pub(super) fn write_text(text: &str, signature: Option<&str>) -> Object {
    Object::new()
        .with("text", text)
        .maybe("thoughtSignature", signature)
}

/// What was thought. Another maker's proof stands in the same part.
pub(super) fn write_thought(text: &str, proof: Option<&Proof>) -> Object {
    let signature = proof.map(|it| Carrier::ThoughtSignature.write(it));
    Object::new()
        .with("text", text)
        .with("thought", true)
        .maybe("thoughtSignature", signature.as_deref())
}

/// The part for `call`. `None`: its arguments are no JSON object, and the format takes nothing else.
pub(super) fn write_call(call: &Call, signature: Option<&str>) -> Option<Object> {
    let arguments = match call.arguments.trim() {
        "" => "{}",
        text => text,
    };
    let args: &RawValue = serde_json::from_str(arguments).ok()?;
    if !args.get().starts_with('{') {
        return None;
    }
    let call = Object::new()
        .with("id", &call.id)
        .with("name", &call.name)
        .with("args", args);
    let part = Object::new().with("functionCall", call);
    Some(part.maybe("thoughtSignature", signature))
}
