use super::*;

#[test]
fn what_changes_model_or_price_is_found() {
    for (rest, field) in [
        (r#""models":["a"]"#, "models"),
        (r#""MODELS":["a"]"#, UNKNOWN),
        (
            r#""messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"","format":"wav"}}]}]"#,
            "input_audio",
        ),
        (
            r#""input":[{"role":"user","content":[{"type":"input_audio"}]}]"#,
            "input_audio",
        ),
        (
            r#""messages":[{"content":[{"type":"video_url","video_url":{"url":"https://a.example"}}]}]"#,
            "video_url",
        ),
        (
            r#""messages":[{"content":[{"type":"tool_result","content":[{"type":"video"}]}]}]"#,
            "video",
        ),
        (
            r#""messages":[{"content":[{"type":"tool_use","type":"text","video_url":{}}]}]"#,
            "video_url",
        ),
        (
            r#""messages":[{"content":[{"type":"audio_url","audio_url":{}}]}]"#,
            "audio_url",
        ),
        (
            r#""input":[{"role":"user","content":[{"type":"input_video","data":""}]}]"#,
            "input_video",
        ),
        (
            r#""messages":[{"content":[{"type":"document","source":{"type":"file","file_id":"f"}}]}]"#,
            "file_id",
        ),
        (
            r#""input":[{"role":"user","content":[{"type":"input_file","file_id":"f"}]}]"#,
            "file_id",
        ),
        (
            r#""messages":[{"role":"assistant","audio":{"id":"a"}}]"#,
            "audio",
        ),
        (r#""n":"many""#, "n"),
        (r#""n":-1"#, "n"),
        (r#""n":1,"n":[8]"#, "n"),
        (r#""max_tokens":true"#, "max_tokens"),
        (r#""max_completion_tokens":{}"#, "max_completion_tokens"),
        (r#""max_output_tokens":"""#, "max_output_tokens"),
        (r#""plugin\u017f":[]"#, UNKNOWN),
        (r#""\u017fervice_tier":"priority""#, UNKNOWN),
        (r#""enable_search":true"#, UNKNOWN),
        (r#""extra_body":{}"#, UNKNOWN),
        (r#""context_management":{}"#, "context_management"),
        (r#""search_parameters":{}"#, "search_parameters"),
        (r#""tools":{"type":"web_search"}"#, "tools"),
        (r#""tools":[{"google_search":{}}]"#, "tools"),
        (
            r#""tools":[{"type":"function","Type":"web_search"}]"#,
            "tools",
        ),
        (
            r#""plugins":{"$serde_json::private::RawValue":"null"}"#,
            "plugins",
        ),
        (
            r#""tools":[{"name":"f","parameters":{"$serde_json::private::RawValue":1}}],"speed":"fast""#,
            "speed",
        ),
        (
            r#""tools":[{"name":"f","cache_control":{"ttl":"1h","ttl":"5m"}}]"#,
            "cache_control",
        ),
        (
            r#""messages":[{"cache_control":{"TTL":"1h"}}]"#,
            "cache_control",
        ),
        (
            r#""messages":[{"cache_control":{"ttl":3600}}]"#,
            "cache_control",
        ),
        (r#""models":null,"models":["a"]"#, "models"),
        (r#""background":true"#, "background"),
        (r#""conversation":"conv_1""#, "conversation"),
        (r#""previous_response_id":"resp_1""#, "previous_response_id"),
        (r#""prompt":{"id":"pmpt_1"}"#, "prompt"),
        (
            r#""input":[{"type":"item_reference","id":"msg_1"}]"#,
            "input",
        ),
        (
            r#""input":[{"role":"user","type":"message","type":"item_reference"}]"#,
            "input",
        ),
        (r#""input":[{"id":"msg_1"}]"#, "input"),
        (r#""input":[{"type":null,"id":"msg_1"}]"#, "input"),
        (r#""plugins":[{"id":"web"}]"#, "plugins"),
        (r#""provider":{}"#, "provider"),
        (r#""service_tier":"priority""#, "service_tier"),
        (
            r#""service_tier":"auto","service_tier":"priority""#,
            "service_tier",
        ),
        (r#""service_tier":7"#, "service_tier"),
        (r#""speed":"fast""#, "speed"),
        (r#""modalities":["text","audio"]"#, "modalities"),
        (r#""web_search_options":{}"#, "web_search_options"),
        (r#""tools":[{"type":"web_search_20250305"}]"#, "tools"),
        (
            r#""tools":[{"type":"function"},{"type":"code_interpreter"}]"#,
            "tools",
        ),
        (r#""tools":[{"type":7}]"#, "tools"),
        (
            r#""tools":[{"name":"f","cache_control":{"type":"ephemeral","ttl":"1h"}}]"#,
            "cache_control",
        ),
        (
            r#""messages":[{"content":[{"text":"x","cache_control":{"type":"ephemeral","ttl":"1h"}}]}]"#,
            "cache_control",
        ),
    ] {
        let body = format!(r#"{{"model":"m",{rest},"temperature":1}}"#);
        assert_eq!(find(body.as_bytes()), Some(field), "{body}");
    }
}

#[test]
fn an_ordinary_call_costs_its_tokens() {
    for rest in [
        r#""stream":true"#,
        r#""models":null,"service_tier":null,"tools":[]"#,
        r#""service_tier":"default","modalities":["text"]"#,
        r#""plugins":null,"tools":[{"name":"f","parameters":{"properties":{"ttl":{"type":"string"}}}}]"#,
        r#""tools":[{"type":"function","function":{"name":"web_search"}},{"name":"f"},{"type":"bash_20250124"}]"#,
        r#""messages":[{"content":"\"models\" and a ttl of 1h"},{"content":[{"cache_control":{"type":"ephemeral"}}]}]"#,
        r#""system":[{"cache_control":{"type":"ephemeral","ttl":"5m"}}]"#,
        r#""metadata":{"provider":"x"}"#,
        r#""n":2,"max_tokens":"7","max_completion_tokens":8.0,"max_output_tokens":null"#,
        r#""messages":[{"content":[{"type":"tool_use","id":"t","name":"play","input":{"video_url":"x"}}]}]"#,
        r#""input":["a",[1,2]],"dimensions":8,"encoding_format":"base64""#,
        r#""input":"hi","instructions":"x","max_output_tokens":9,"text":{"format":{"type":"text"}}"#,
        r#""input":[{"role":"user","content":"hi"},{"type":"function_call_output","call_id":"c","output":"{}"}]"#,
    ] {
        let body = format!(r#"{{"model":"m",{rest}}}"#);
        assert_eq!(find(body.as_bytes()), None, "{body}");
    }
}
