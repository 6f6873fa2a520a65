//! Any split of a stream is translated to the same text, and whatever becomes of requests and answers is JSON. The first
//! byte of the input chooses the two formats, the second where the stream is split.

use llm::format::FormatId;
use llm::translate::{self, Plan, Stamp, Target};
use serde_json::value::RawValue;

const FORMATS: [FormatId; 4] = [
    FormatId::OpenaiChat,
    FormatId::OpenaiResponses,
    FormatId::AnthropicMessages,
    FormatId::GeminiGenerateContent,
];

fn stamp() -> Stamp {
    Stamp {
        request: "req_0".to_owned(),
        at_s: 0,
        input_tokens: 17,
    }
}

fn stream<'a>(plan: &Plan, pieces: impl Iterator<Item = &'a [u8]>) -> String {
    let mut translator = plan.stream(stamp()).expect("a translation is known");
    let mut out: String = pieces.map(|piece| translator.push(piece)).collect();
    out.push_str(&translator.finish());
    assert!(translator.is_over());
    out
}

pub(crate) fn holds(input: &[u8]) {
    let [choice, cut, body @ ..] = input else {
        return;
    };
    let pairs = usize::from(*choice) % 12;
    let (from, step) = (pairs / 3, pairs % 3 + 1);
    let (client, upstream) = (FORMATS[from], FORMATS[(from + step) % 4]);
    let target = Target::default();
    // Raw, for what is passed on as it came may be as deep as it was.
    let is_json = |text: &[u8]| serde_json::from_slice::<Box<RawValue>>(text).is_ok();
    if let Ok(translated) = translate::request(client, upstream, body, &target) {
        assert!(is_json(&translated.body));
    }
    // Several answers, where both formats know them.
    let least: &[u8] = match (client, upstream) {
        (FormatId::OpenaiChat, FormatId::GeminiGenerateContent) => {
            br#"{"model":"m","messages":[],"n":2}"#
        }
        (FormatId::GeminiGenerateContent, FormatId::OpenaiChat) => {
            br#"{"contents":[],"generationConfig":{"candidateCount":2}}"#
        }
        _ => br#"{"model":"m","max_tokens":9,"messages":[],"input":"hi","contents":[]}"#,
    };
    let plan = translate::request(client, upstream, least, &target);
    let plan = plan.expect("it can be translated").plan;
    if let Ok(answer) = plan.answer(body, &stamp()) {
        assert!(is_json(&answer));
    }
    let whole = stream(&plan, [body].into_iter());
    assert_eq!(stream(&plan, body.chunks(1)), whole);
    let at = usize::from(*cut) % (body.len() + 1);
    assert_eq!(stream(&plan, [&body[..at], &body[at..]].into_iter()), whole);
}
