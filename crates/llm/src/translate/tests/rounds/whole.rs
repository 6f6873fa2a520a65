//! Everything that a format's requests, answers and streams can say of what the common form carries, compared as a whole
//! behind a round through it. What does not come back as it was stands here, each with its reason.

use super::*;
use crate::translate::stream::StreamTranslator;

/// The fixture of this kind, `request.json` or another.
fn fixture(format: FormatId, kind: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/fixtures/rounds");
    let file = folder.join(format!("{format}_{kind}"));
    fs::read_to_string(file).expect("a fixture")
}

/// What does not come back as it was: where it stands, what it becomes (`None`: it is gone), and why.
struct Exception(&'static str, Option<Value>, &'static str);

/// `value` as it comes back.
fn expected(mut value: Value, exceptions: &[Exception]) -> Value {
    for Exception(place, becomes, why) in exceptions {
        assert!(value.pointer(place).is_some(), "{place}: {why}");
        let (parent, name) = place.rsplit_once('/').expect("a place");
        let parent = value.pointer_mut(parent).expect("a parent");
        match (parent, becomes) {
            (parent, Some(becomes)) => parent[name] = becomes.clone(),
            (Value::Object(fields), None) => drop(fields.remove(name)),
            (parent, None) => panic!("{parent} has no {name}"),
        }
    }
    value
}

/// What a client asked that wants so many answers.
fn asked(format: FormatId, answers: u64) -> Asked {
    let request = fixture(format, "request.json");
    Asked {
        reports_usage: true,
        answers,
        echo: Echo::of(format, request.as_bytes(), &mut Warnings::default()),
        listed: false,
    }
}

#[test]
fn a_request_comes_back_whole() {
    let warned = |format| match format {
        FormatId::OpenaiChat => "dropped:thinking",
        FormatId::AnthropicMessages => "dropped:cache_control",
        FormatId::GeminiGenerateContent => "dropped:safetySettings",
        _ => "",
    };
    let exceptions = |format| match format {
        FormatId::OpenaiChat => vec![
            Exception(
                "/messages/1/role",
                Some("system".into()),
                "few servers know the newer word",
            ),
            Exception(
                "/messages/3/reasoning_content",
                None,
                "few servers take back what was thought",
            ),
        ],
        FormatId::AnthropicMessages => vec![Exception(
            "/system/1/cache_control",
            None,
            "no other format has hints for caches in parts",
        )],
        FormatId::GeminiGenerateContent => vec![Exception(
            "/safetySettings",
            None,
            "no other format has them",
        )],
        _ => Vec::new(),
    };
    for format in ALL {
        let given = fixture(format, "request.json");
        let dialect = dialect(format).expect("a dialect");
        let mut warnings = Warnings::default();
        let mut read = dialect
            .read_request(given.as_bytes(), &mut warnings)
            .expect("a request");
        // Of Gemini's the path says it.
        read.stream = true;
        let written = dialect.write_request(read, &target(), &mut warnings);
        let written: Value = serde_json::from_str(&written.expect("a request")).expect("JSON");
        let given = serde_json::from_str(&given).expect("JSON");
        assert_eq!(written, expected(given, &exceptions(format)), "{format}");
        assert_eq!(warnings.to_string(), warned(format), "{format}");
    }
}

#[test]
fn an_answer_comes_back_whole() {
    for (format, kind, warned, exceptions) in [
        (
            FormatId::OpenaiChat,
            "answer.json",
            "",
            vec![Exception(
                "/system_fingerprint",
                None,
                "no client misses it",
            )],
        ),
        (FormatId::OpenaiChat, "answer_several.json", "", Vec::new()),
        (FormatId::OpenaiResponses, "answer.json", "", Vec::new()),
        (
            FormatId::AnthropicMessages,
            "answer.json",
            "dropped:citations",
            vec![Exception(
                "/content/3/citations",
                None,
                "no other format cites documents",
            )],
        ),
        (
            FormatId::GeminiGenerateContent,
            "answer.json",
            "",
            vec![Exception(
                "/candidates/0/avgLogprobs",
                None,
                "no client misses it",
            )],
        ),
        (
            FormatId::GeminiGenerateContent,
            "answer_several.json",
            "",
            Vec::new(),
        ),
    ] {
        let given = fixture(format, kind);
        let dialect = dialect(format).expect("a dialect");
        let mut warnings = Warnings::default();
        let read = dialect.read_answer(given.as_bytes(), 2, &mut warnings);
        let read = read.expect("an answer");
        let written = dialect.write_answer(&read, &asked(format, 2), &stamp(), &mut warnings);
        let written: Value = serde_json::from_str(&written.expect("an answer")).expect("JSON");
        let given = serde_json::from_str(&given).expect("JSON");
        assert_eq!(written, expected(given, &exceptions), "{format} {kind}");
        assert_eq!(warnings.to_string(), warned, "{format} {kind}");
    }
}

/// Event for event: these are cut as the writers cut them.
#[test]
fn a_stream_comes_back_whole() {
    for (format, kind) in [
        (FormatId::OpenaiChat, "stream.jsonl"),
        (FormatId::OpenaiChat, "stream_several.jsonl"),
        (FormatId::OpenaiResponses, "stream.jsonl"),
        (FormatId::AnthropicMessages, "stream.jsonl"),
        (FormatId::GeminiGenerateContent, "stream.jsonl"),
        (FormatId::GeminiGenerateContent, "stream_several.jsonl"),
    ] {
        let given: Vec<Value> = fixture(format, kind)
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let dialect = dialect(format).expect("a dialect");
        let writer = dialect.stream_writer(asked(format, 2), stamp());
        let mut translator = StreamTranslator::new(dialect.stream_reader(2), writer);
        let mut out = String::new();
        for event in &given {
            out.push_str(&translator.push(format!("data: {event}\n\n").as_bytes()));
        }
        if format == FormatId::OpenaiChat {
            out.push_str(&translator.push(b"data: [DONE]\n\n"));
        }
        out.push_str(&translator.finish());
        assert!(translator.is_whole(), "{format}: {out}");
        let data = out.lines().filter_map(|line| line.strip_prefix("data: "));
        let written: Vec<Value> = data
            .filter_map(|it| serde_json::from_str(it).ok())
            .collect();
        for (at, (written, given)) in written.iter().zip(&given).enumerate() {
            assert_eq!(written, given, "{format} {kind}, event {at}");
        }
        assert_eq!(written.len(), given.len(), "{format} {kind}");
        assert!(!out.contains("keybearer"), "{format}: {out}");
    }
}
