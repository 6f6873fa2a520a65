//! What is read of a provider's errors says nothing that the status contradicts, and a link that becomes relative is the
//! only thing in an answer that does. The first two bytes of the input choose the status.

use bytes::Bytes;
use llm::failure::{classify, is_unknown_model, retry_delay_ms, status_of_event};
use llm::format::FormatId;
use llm::{effects, links, surcharge};
use serde_json::Value;

const BASE: &str = "https://api.example.com";

/// Takes what stands before the path of each link that is below the base URL.
fn relative(value: &mut Value) {
    let shorten = |batch: &mut Value| {
        if let Some(Value::String(text)) = batch.get_mut("results_url")
            && let Some(below) = text.strip_prefix(BASE)
            && below.starts_with('/')
        {
            *text = below.to_owned();
        }
    };
    shorten(value);
    if let Some(Value::Array(data)) = value.get_mut("data") {
        data.iter_mut().for_each(shorten);
    }
}

pub(crate) fn holds(input: &[u8]) {
    let [high, low, body @ ..] = input else {
        return;
    };
    let status = 100 + u16::from_be_bytes([*high, *low]) % 500;
    let kind = classify(status, body);
    assert!(kind.is_none() || status >= 300, "{status} is {kind:?}");
    assert!(!is_unknown_model(status, body) || status == 404);
    let _ = retry_delay_ms(body);
    let told = status_of_event(body);
    assert!(
        told.is_none_or(|status| (400..600).contains(&status)),
        "{told:?}"
    );
    let _ = surcharge::find(body);
    let _ = effects::find(FormatId::OpenaiResponses, body);

    let answer = Bytes::copy_from_slice(body);
    let Some(changed) = links::relative(&answer, BASE) else {
        return;
    };
    // In a text that nobody reads may stand what is no UTF-8, or what serde_json's own values take for JSON.
    let is_odd = body.windows(11).any(|it| it == b"::private::");
    let Some(mut before) = serde_json::from_slice(body).ok().filter(|_| !is_odd) else {
        return;
    };
    relative(&mut before);
    let after: Value = serde_json::from_slice(&changed).expect("it stays JSON");
    assert_eq!(after, before);
}
