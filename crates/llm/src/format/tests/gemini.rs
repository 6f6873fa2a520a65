//! What Gemini's reports say.

use super::*;

#[test]
fn gemini_counts_that_cannot_be_true_are_not_reported() {
    // T63
    let honest = r#"{"promptTokenCount":10,"cachedContentTokenCount":4,"toolUsePromptTokenCount":2,"candidatesTokenCount":6,"thoughtsTokenCount":5,"totalTokenCount":23}"#;
    let stream = |report: &str| {
        format!(
            "data: {{\"candidates\":[{{\"finishReason\":\"STOP\"}}],\"usageMetadata\":{report}}}\n\n"
        )
    };
    let format = FormatId::GeminiGenerateContent;
    let expected = Usage {
        input_tokens: 8,
        cached_input_tokens: 4,
        cache_write_tokens: 0,
        output_tokens: 11,
        reasoning_tokens: 5,
    };
    let told = tap(format.format(), true, [stream(honest).as_bytes()]);
    assert_eq!(told, Some(expected));
    let list =
        |report: &str| format!("[{{\"usageMetadata\":{honest}}},{{\"usageMetadata\":{report}}}]");
    let told = tap(format.format(), false, [list(honest).as_bytes()]);
    assert_eq!(told, Some(expected));
    for (candidates, output) in [(":6", Some(6)), (":5", Some(5)), (":4", None)] {
        // Where thoughts are a part of the candidates' tokens, the total says so.
        let count: u64 = candidates[1..].parse().expect("a number");
        let within = honest.replace(":6", candidates);
        let within = within.replace("23", &(12 + count).to_string());
        let told = tap(format.format(), true, [stream(&within).as_bytes()]);
        assert_eq!(told.map(|usage| usage.output_tokens), output, "{within}");
        assert!(told.is_none_or(|usage| usage.reasoning_tokens == 5));
    }
    let mut lies: Vec<String> = vec![
        honest.replace(":4", ":11"),
        honest.replace(r#""promptTokenCount":10,"#, ""),
        honest.replace(":10", ":null"),
        honest.replace(":10", r#":10,"promptTokenCount":10"#),
        format!("{honest},\"usageMetadata\":{honest}"),
    ];
    for honest_count in [":10", ":4", ":2,", ":6", ":5", ":23"] {
        let after = if honest_count.ends_with(',') { "," } else { "" };
        for lie in LIES {
            lies.push(honest.replacen(honest_count, &format!(":{lie}{after}"), 1));
        }
    }
    for lie in lies {
        assert_ne!(lie, honest);
        assert_eq!(
            tap(format.format(), true, [stream(&lie).as_bytes()]),
            None,
            "{lie}"
        );
        for body in [format!("{{\"usageMetadata\":{lie}}}"), list(&lie)] {
            assert_eq!(
                tap(format.format(), false, [body.as_bytes()]),
                None,
                "{body}"
            );
        }
    }
}
