use super::*;

use FormatId::{AnthropicMessages, GeminiGenerateContent, OpenaiChat, OpenaiResponses};

fn all() -> Parameters {
    serde_json::from_str(
        r#"{"temperature":"0.2","top_p":"1","max_tokens":64,"reasoning_effort":"low","system_prompt":"Be \"brief\"."}"#,
    )
    .expect("parameters")
}

fn changed(format: FormatId, body: &str) -> String {
    changed_for(format, body, Target::default())
}

fn changed_for(format: FormatId, body: &str, target: Target) -> String {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let changed = with_defaults(format, &body, &all(), target);
    String::from_utf8(changed.to_vec()).expect("text")
}

#[test]
fn each_format_says_it_in_its_own_words_and_every_other_byte_stays() {
    for (format, body, expected) in [
        (
            OpenaiChat,
            r#"{ "x" : 1.50, "messages" : [ {"role":"user","content":"hi"} ] }"#,
            r#"{ "x" : 1.50, "messages" : [{"content":"Be \"brief\".","role":"system"}, {"role":"user","content":"hi"} ] ,"max_tokens":64,"temperature":0.2,"top_p":1,"reasoning_effort":"low"}"#,
        ),
        (
            OpenaiResponses,
            r#"{"input":"hi"}"#,
            r#"{"input":"hi","max_output_tokens":64,"temperature":0.2,"top_p":1,"reasoning":{"effort":"low"},"instructions":"Be \"brief\"."}"#,
        ),
        (
            AnthropicMessages,
            r#"{"messages":[]}"#,
            r#"{"messages":[],"max_tokens":64,"temperature":0.2,"top_p":1,"output_config":{"effort":"low"},"system":"Be \"brief\"."}"#,
        ),
        (
            GeminiGenerateContent,
            r#"{"contents":[]}"#,
            r#"{"contents":[],"generationConfig":{"temperature":0.2,"topP":1,"maxOutputTokens":64,"thinkingConfig":{"thinkingLevel":"low"}},"systemInstruction":{"parts":[{"text":"Be \"brief\"."}]}}"#,
        ),
        (
            GeminiGenerateContent,
            "{}",
            r#"{"generationConfig":{"temperature":0.2,"topP":1,"maxOutputTokens":64,"thinkingConfig":{"thinkingLevel":"low"}},"systemInstruction":{"parts":[{"text":"Be \"brief\"."}]}}"#,
        ),
        (
            GeminiGenerateContent,
            r#"{"generationConfig":{ },"z":0}"#,
            r#"{"generationConfig":{ "temperature":0.2,"topP":1,"maxOutputTokens":64,"thinkingConfig":{"thinkingLevel":"low"}},"z":0,"systemInstruction":{"parts":[{"text":"Be \"brief\"."}]}}"#,
        ),
    ] {
        assert_eq!(changed(format, body), expected, "{body}");
    }
}

#[test]
fn what_the_request_says_stands() {
    for (format, body) in [
        (
            OpenaiChat,
            r#"{"temperature":1,"top_p":null,"max_completion_tokens":5,"reasoning_effort":"high","messages":[{"role":"user"},{"role":"developer","content":"x"}]}"#,
        ),
        (
            OpenaiChat,
            r#"{"temp\u0065rature":1,"top_p":0.5,"max_tokens":5,"reasoning_effort":null,"messages":[{"role":"system","content":"x"}]}"#,
        ),
        (
            OpenaiResponses,
            r#"{"temperature":1,"top_p":1,"max_output_tokens":5,"reasoning":{"effort":null},"instructions":null}"#,
        ),
        (
            AnthropicMessages,
            r#"{"temperature":1,"top_p":1,"max_tokens":5,"thinking":{"type":"disabled"},"system":[]}"#,
        ),
        (
            AnthropicMessages,
            r#"{"temperature":1,"top_p":1,"max_tokens":5,"output_config":{"effort":"high"},"system":"x"}"#,
        ),
        (
            GeminiGenerateContent,
            r#"{"generation_config":{"temperature":1,"top_p":1,"max_output_tokens":5,"thinking_config":{}},"system_instruction":null}"#,
        ),
        // In other words of the format, or of a provider.
        (
            OpenaiChat,
            r#"{"temperature":1,"top_p":1,"max_tokens":5,"reasoning":{"enabled":false}}"#,
        ),
        (
            OpenaiChat,
            r#"{"temperature":1,"top_p":1,"max_tokens":5,"thinking":{"type":"disabled"}}"#,
        ),
        (
            OpenaiChat,
            r#"{"temperature":1,"top_p":1,"max_tokens":5,"enable_thinking":false}"#,
        ),
        (
            OpenaiResponses,
            r#"{"temperature":1,"top_p":1,"max_output_tokens":5,"reasoning":{"effort":null},"input":[{"role":"developer","content":"x"}]}"#,
        ),
        (
            OpenaiResponses,
            r#"{"temperature":1,"top_p":1,"max_output_tokens":5,"reasoning":{"effort":null},"input":[{"role":"user","content":"x"}],"prompt":{"id":"p"}}"#,
        ),
        (
            GeminiGenerateContent,
            r#"{"generationConfig":{"temperature":1,"topP":1,"maxOutputTokens":5,"thinkingConfig":{}},"cachedContent":"cachedContents/a"}"#,
        ),
        // What is not what the format has there.
        (
            GeminiGenerateContent,
            r#"{"generationConfig":null,"systemInstruction":{}}"#,
        ),
        (FormatId::OpenaiEmbeddings, r#"{"input":"hi"}"#),
    ] {
        assert_eq!(changed(format, body), body, "{body}");
    }
    let body = r#"{"temperature":1,"top_p":1,"max_output_tokens":5,"reasoning":{"effort":null},"input":[{"role":"user"},{"type":"reasoning"}]}"#;
    assert!(changed(OpenaiResponses, body).contains(r#""instructions":"Be "#));
    // An object that is there is added to.
    let body = r#"{"temperature":1,"top_p":1,"max_output_tokens":5,"reasoning":{"summary":"auto"},"instructions":"x"}"#;
    let expected = r#"{"temperature":1,"top_p":1,"max_output_tokens":5,"reasoning":{"summary":"auto","effort":"low"},"instructions":"x"}"#;
    assert_eq!(changed(OpenaiResponses, body), expected);
}

#[test]
fn the_target_decides_between_the_words_of_a_format() {
    let newer = Target {
        token_limit: TokenLimit::MaxCompletionTokens,
        thinking: Thinking::Never,
    };
    let said = changed_for(OpenaiChat, r#"{"messages":7}"#, newer);
    assert_eq!(
        said,
        r#"{"messages":7,"max_completion_tokens":64,"temperature":0.2,"top_p":1}"#
    );
    let budget = Target {
        thinking: Thinking::Budget,
        ..Target::default()
    };
    let said = changed_for(GeminiGenerateContent, "{}", budget);
    assert!(
        said.contains(r#""thinkingConfig":{"thinkingBudget":1024}"#),
        "{said}"
    );
    assert!(!changed_for(AnthropicMessages, "{}", budget).contains("effort"));
}

proptest::proptest! {
    #[test]
    fn what_is_made_is_what_was_there_and_more(
        space in "[ \t\r\n]{0,3}",
        present in 0_usize..32,
        which in 0_usize..4,
    ) {
        let format = [OpenaiChat, OpenaiResponses, AnthropicMessages, GeminiGenerateContent][which];
        let fields = [
            r#""temperature":0.7"#,
            r#""generationConfig":{"topP":0.1}"#,
            r#""messages":[{"role":"user","content":"]}"}]"#,
            r#""reasoning":{}"#,
            r#""note":"{\"system\":1}""#,
        ];
        let there: Vec<String> = fields
            .iter()
            .enumerate()
            .filter(|(at, _)| present & (1 << at) != 0)
            .map(|(_, field)| format!("{space}{field}{space}"))
            .collect();
        let body = format!("{space}{{{}{space}}}{space}", there.join(","));
        let said = changed(format, &body);
        let before: serde_json::Map<String, Value> = serde_json::from_str(&body).expect("JSON");
        let after: serde_json::Map<String, Value> = serde_json::from_str(&said).expect("JSON");
        for (name, value) in &before {
            if !["generationConfig", "messages", "reasoning"].contains(&name.as_str()) {
                proptest::prop_assert_eq!(after.get(name), Some(value));
            }
        }
        // Nothing is said twice, and saying it again adds nothing.
        proptest::prop_assert_eq!(changed(format, &said), said);
    }
}
