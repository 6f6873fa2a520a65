use super::*;

#[test]
fn what_changes_model_or_price_is_found() {
    for (body, field) in [
        (r#"{"cachedContent":"cachedContents/1"}"#, "cachedContent"),
        (r#"{"cached_content":"cachedContents/1"}"#, "cachedContent"),
        (
            r#"{"cachedContent":null,"cachedContent":"cachedContents/1"}"#,
            "cachedContent",
        ),
        (r#"{"tools":[{"googleSearch":{}}]}"#, "tools"),
        (r#"{"tools":[{"google_search":{}}]}"#, "tools"),
        (
            r#"{"tools":[{"functionDeclarations":[]},{"codeExecution":{}}]}"#,
            "tools",
        ),
        (
            r#"{"tools":[{"functionDeclarations":[],"urlContext":{}}]}"#,
            "tools",
        ),
        (r#"{"tools":{"functionDeclarations":[]}}"#, "tools"),
        (r#"{"tools":["googleSearch"]}"#, "tools"),
        (r#"{"serviceTier":"priority"}"#, "serviceTier"),
        (r#"{"service_tier":"PRIORITY"}"#, "serviceTier"),
        (
            r#"{"generationConfig":{"responseModalities":["TEXT","IMAGE"]}}"#,
            "responseModalities",
        ),
        (
            r#"{"generation_config":{"response_modalities":["AUDIO"]}}"#,
            "responseModalities",
        ),
        (
            r#"{"generationConfig":{"imageConfig":{}}}"#,
            "generationConfig",
        ),
        (
            r#"{"generationConfig":{"routingConfig":{"manualMode":{}}}}"#,
            "generationConfig",
        ),
        (r#"{"generationConfig":[]}"#, "generationConfig"),
        (
            r#"{"generationConfig":{"candidateCount":"many"}}"#,
            "candidateCount",
        ),
        (
            r#"{"generation_config":{"candidate_count":1,"candidateCount":[8]}}"#,
            "candidateCount",
        ),
        (
            r#"{"generationConfig":{"maxOutputTokens":true}}"#,
            "maxOutputTokens",
        ),
        (
            r#"{"generationConfig":{"max_output_tokens":-1}}"#,
            "maxOutputTokens",
        ),
        (
            r#"{"contents":[{"parts":[{"fileData":{"fileUri":"files/1"}}]}]}"#,
            "fileData",
        ),
        (
            r#"{"contents":[{"parts":{"file_data":{"file_uri":"files/1"}}}]}"#,
            "fileData",
        ),
        (
            r#"{"contents":[{"parts":[{"functionResponse":{"parts":[{"fileData":{}}]}}]}]}"#,
            "fileData",
        ),
        // A name that means the client's own data in one place hides nothing in another.
        (
            r#"{"contents":[{"parts":[{"args":{"fileData":{}}}]}]}"#,
            "fileData",
        ),
        (
            r#"{"contents":[{"response":[{"parts":[{"file_data":{}}]}]}]}"#,
            "fileData",
        ),
        (
            r#"{"contents":[{"parts":[{"functionCall":{"response":{"fileData":{}}}}]}]}"#,
            "fileData",
        ),
        (
            r#"{"contents":[{"parts":[{"functionCall":{"will":{"args":{"fileData":{}}}}}]}]}"#,
            "fileData",
        ),
        (
            r#"{"contents":[{"parts":[{"response":{"inlineData":{"mimeType":"audio/wav"}}}]}]}"#,
            "inlineData",
        ),
        (
            r#"{"content":{"args":{"parts":[{"inline_data":{"mimeType":"image/png"}}]}}}"#,
            "inlineData",
        ),
        (
            r#"{"systemInstruction":{"parts":[{"fileData":{}}]}}"#,
            "fileData",
        ),
        (
            r#"{"requests":[{},{"content":{"parts":[{"fileData":{}}]}}]}"#,
            "fileData",
        ),
        (
            r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"audio/wav","data":""}}]}]}"#,
            "inlineData",
        ),
        (
            r#"{"contents":[{"parts":[{"inline_data":{"mime_type":"video/mp4","data":""}}]}]}"#,
            "inlineData",
        ),
        (
            r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","mime_type":"audio/wav"}}]}]}"#,
            "inlineData",
        ),
        (
            r#"{"contents":[{"parts":[{"inlineData":{"data":""}}]}]}"#,
            "inlineData",
        ),
        (
            r#"{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":""}}]}}"#,
            "inlineData",
        ),
        (r#"{"requests":{}}"#, UNKNOWN),
        (r#"{"requests":[[]]}"#, UNKNOWN),
        (
            r#"{"generateContentRequest":{"tools":[{"googleSearch":{}}]}}"#,
            "tools",
        ),
        (r#"{"extraBody":{}}"#, UNKNOWN),
        (r#"{"Contents":[]}"#, UNKNOWN),
        ("[]", UNKNOWN),
        ("{", UNKNOWN),
    ] {
        assert_eq!(find_gemini(body.as_bytes()), Some(field), "{body}");
    }
}

#[test]
fn an_ordinary_call_costs_its_tokens() {
    for body in [
        "{}",
        r#"{"contents":[{"role":"user","parts":[{"text":"\"googleSearch\"","inlineData":{"mimeType":"image/png","data":""}},{"inline_data":{"mime_type":"application/pdf","data":""}}]}]}"#,
        r#"{"contents":[{"parts":[{"functionCall":{"name":"f","args":{"fileData":{}}}},{"functionResponse":{"response":{"fileData":1}}}]}]}"#,
        r#"{"contents":[{"parts":[{"function_call":{"args":{"args":[{"inlineData":1}]}}},{"function_response":{"response":{"inlineData":1}}}]}]}"#,
        r#"{"contents":[],"tools":[{"functionDeclarations":[{"name":"googleSearch"}],"googleSearch":null}],"toolConfig":{}}"#,
        r#"{"generationConfig":{"maxOutputTokens":"7","candidateCount":2.0}}"#,
        r#"{"generationConfig":{"maxOutputTokens":7,"candidate_count":null,"top_p":1,"responseModalities":["TEXT"],"thinkingConfig":{}}}"#,
        r#"{"safety_settings":[],"system_instruction":{"parts":[]},"serviceTier":"flex","cachedContent":null}"#,
        r#"{"model":"models/m","content":{"parts":[{"text":"a"}]},"taskType":"CLUSTERING","output_dimensionality":8}"#,
        r#"{"requests":[{"model":"models/m","content":{}}]}"#,
        r#"{"generateContentRequest":{"model":"models/m","contents":[]}}"#,
    ] {
        assert_eq!(find_gemini(body.as_bytes()), None, "{body}");
    }
}
