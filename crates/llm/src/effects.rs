//! Fields by which a request makes a provider keep or do something, so that whoever sends it twice has it twice.
//!
//! A model's answer may be made twice and be thrown away once; it costs, and nothing else. A response that the provider
//! keeps, a conversation that grows or a tool that acts somewhere is more than that.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::format::FormatId;
use crate::surcharge::runs_at_client;

/// What of a request has effects. A field that stands there twice, or is no such field, is not read but suspected.
#[derive(Deserialize)]
struct Request {
    store: Option<bool>,
    background: Option<bool>,
    previous_response_id: Option<IgnoredAny>,
    conversation: Option<IgnoredAny>,
    container: Option<IgnoredAny>,
    mcp_servers: Option<IgnoredAny>,
    tools: Option<Vec<Tool>>,
}

#[derive(Deserialize)]
struct Tool {
    #[serde(rename = "type")]
    kind: Option<String>,
    // Gemini's tools have no type: a field names them.
    #[serde(rename = "codeExecution", alias = "code_execution")]
    code_execution: Option<IgnoredAny>,
    #[serde(rename = "mcpServers", alias = "mcp_servers")]
    mcp_servers: Option<IgnoredAny>,
}

/// Tools that run at the provider and only read. A version may follow the name.
const READING: [&str; 3] = ["web_search", "web_fetch", "file_search"];

/// The first field of a JSON request in this format that has effects beyond its answer; `None`: there is none.
pub fn find(format: FormatId, body: &[u8]) -> Option<&'static str> {
    let Ok(request) = serde_json::from_slice::<Request>(body) else {
        return Some("body");
    };
    // OpenAI keeps a response unless it is told not to. Source: <https://platform.openai.com/docs/api-reference/responses/create>.
    let kept_by_default = format == FormatId::OpenaiResponses;
    let acts = |tool: &Tool| {
        let reads = |kind: &str| READING.iter().any(|it| kind.starts_with(it));
        let kind = tool.kind.as_deref();
        tool.code_execution.is_some()
            || tool.mcp_servers.is_some()
            || kind.is_some_and(|kind| !runs_at_client(kind) && !reads(kind))
    };
    let found = [
        ("store", request.store.unwrap_or(kept_by_default)),
        ("background", request.background == Some(true)),
        (
            "previous_response_id",
            request.previous_response_id.is_some(),
        ),
        ("conversation", request.conversation.is_some()),
        ("container", request.container.is_some()),
        ("mcp_servers", request.mcp_servers.is_some()),
        ("tools", request.tools.iter().flatten().any(acts)),
    ];
    let found = found.into_iter().find(|(_, has)| *has);
    found.map(|(field, _)| field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(format: FormatId, fields: &str) -> Option<&'static str> {
        find(format, format!(r#"{{"model":"m"{fields}}}"#).as_bytes())
    }

    #[test]
    fn what_a_provider_keeps_or_does_is_found() {
        for (fields, field) in [
            (r#","store":true"#, "store"),
            (r#","background":true"#, "background"),
            (r#","previous_response_id":"r""#, "previous_response_id"),
            (r#","conversation":{"id":"c"}"#, "conversation"),
            (r#","container":"c""#, "container"),
            (
                r#","mcp_servers":[{"url":"https://a.example"}]"#,
                "mcp_servers",
            ),
            (r#","tools":[{"type":"function"},{"type":"mcp"}]"#, "tools"),
            (r#","tools":[{"type":"code_interpreter"}]"#, "tools"),
            (
                r#","tools":[{"functionDeclarations":[]},{"codeExecution":{}}]"#,
                "tools",
            ),
            (r#","tools":[{"mcpServers":[{}]}]"#, "tools"),
            // What is not as it should be is not guessed at.
            (r#","store":false,"store":false"#, "body"),
            (r#","store":"no""#, "body"),
            (r#","tools":{"type":"mcp"}"#, "body"),
        ] {
            assert_eq!(found(FormatId::OpenaiChat, fields), Some(field), "{fields}");
        }
        assert_eq!(find(FormatId::OpenaiChat, b"[1]"), Some("body"));
    }

    #[test]
    fn a_response_is_kept_unless_the_request_says_otherwise() {
        let responses = FormatId::OpenaiResponses;
        assert_eq!(found(responses, ""), Some("store"));
        assert_eq!(found(responses, r#","store":null"#), Some("store"));
        assert_eq!(found(responses, r#","store":false"#), None);
        assert_eq!(found(FormatId::OpenaiChat, ""), None);
    }

    #[test]
    fn what_only_costs_has_no_effects() {
        for fields in [
            r#","messages":[{"role":"user","content":"store","store":true}],"n":2,"stream":true"#,
            r#","store":false,"background":false,"previous_response_id":null,"tools":[]"#,
            r#","tools":[{"name":"f","input_schema":{}},{"type":"function"},{"type":"bash_20250124"}]"#,
            r#","tools":[{"type":"web_search_20250305"},{"functionDeclarations":[]},{"googleSearch":{}}]"#,
        ] {
            for format in [
                FormatId::OpenaiChat,
                FormatId::AnthropicMessages,
                FormatId::GeminiGenerateContent,
            ] {
                assert_eq!(found(format, fields), None, "{fields}");
            }
        }
    }
}
