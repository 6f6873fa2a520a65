//! Field by field: what becomes of everything that Gemini's requests and answers can say. Sources:
//! <https://ai.google.dev/api/generate-content>, <https://ai.google.dev/api/caching>.

use super::*;

/// What becomes of a field for chat completions, responses and messages. Of a request: `=text` stands in what is sent, and
/// nothing is warned of; `!path` is refused; anything else is the warning. Of an answer: `=text` stands in what is told
/// and nothing is warned of; `-` is left out, as no client misses it; `!` is told as an error; anything else is left out with that
/// warning.
type Row = (&'static str, &'static str, [&'static str; 3]);

const OTHERS: [FormatId; 3] = [
    FormatId::OpenaiChat,
    FormatId::OpenaiResponses,
    FormatId::AnthropicMessages,
];

const fn all(fate: &'static str) -> [&'static str; 3] {
    [fate, fate, fate]
}

/// Top-level fields.
const REQUEST: &[Row] = &[
    ("model", r#""model":"models/m7""#, all("=\"m7\"")),
    (
        "systemInstruction",
        r#""systemInstruction":{"role":"system","parts":[{"text":"sys7"}]}"#,
        all("=sys7"),
    ),
    (
        "systemInstruction, a picture",
        r#""systemInstruction":{"parts":[{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}"#,
        all("!systemInstruction.parts"),
    ),
    (
        "safetySettings",
        r#""safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_NONE"}]"#,
        all("dropped:safetySettings"),
    ),
    (
        "cachedContent",
        r#""cachedContent":"cachedContents/7""#,
        all("!cachedContent"),
    ),
    (
        "continuationToken",
        r#""continuationToken":"7""#,
        all("!continuationToken"),
    ),
    (
        "modelArmorConfig",
        r#""modelArmorConfig":{}"#,
        all("!modelArmorConfig"),
    ),
    (
        "serviceTier",
        r#""serviceTier":"flex""#,
        all("dropped:serviceTier"),
    ),
    ("store", r#""store":true"#, all("dropped:store")),
    ("labels", r#""labels":{"a":"b"}"#, all("dropped:labels")),
    (
        "what nobody knows",
        r#""whatever7":1"#,
        all("dropped:unlisted"),
    ),
    (
        "functionDeclarations",
        r#""tools":[{"functionDeclarations":[{"name":"f7"}]}]"#,
        all("=\"f7\""),
    ),
    (
        "functionDeclarations.description",
        r#""tools":[{"functionDeclarations":[{"name":"f","description":"d7"}]}]"#,
        all("=\"d7\""),
    ),
    (
        "functionDeclarations.parameters",
        r#""tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT","title":"t7"}}]}]"#,
        all("={\"type\":\"object\",\"title\":\"t7\"}"),
    ),
    (
        "functionDeclarations.parametersJsonSchema",
        r#""tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":{"type":"object","title":"t7"}}]}]"#,
        all("={\"type\":\"object\",\"title\":\"t7\"}"),
    ),
    (
        "both kinds of parameters",
        r#""tools":[{"functionDeclarations":[{"name":"f","parameters":{},"parametersJsonSchema":{}}]}]"#,
        all("!tools.parameters"),
    ),
    (
        "functionDeclarations.behavior",
        r#""tools":[{"functionDeclarations":[{"name":"f","behavior":"NON_BLOCKING"}]}]"#,
        all("dropped:behavior"),
    ),
    (
        "functionDeclarations.response",
        r#""tools":[{"functionDeclarations":[{"name":"f","response":{}}]}]"#,
        all("dropped:response"),
    ),
    (
        "functionDeclarations.responseJsonSchema",
        r#""tools":[{"functionDeclarations":[{"name":"f","responseJsonSchema":{}}]}]"#,
        all("dropped:responseJsonSchema"),
    ),
    (
        "googleSearch",
        r#""tools":[{"googleSearch":{}}]"#,
        all("!tools"),
    ),
    (
        "googleSearchRetrieval",
        r#""tools":[{"googleSearchRetrieval":{}}]"#,
        all("!tools"),
    ),
    (
        "codeExecution",
        r#""tools":[{"codeExecution":{}}]"#,
        all("!tools"),
    ),
    (
        "urlContext",
        r#""tools":[{"url_context":{}}]"#,
        all("!tools"),
    ),
    (
        "computerUse",
        r#""tools":[{"computerUse":{}}]"#,
        all("!tools"),
    ),
    (
        "fileSearch",
        r#""tools":[{"fileSearch":{}}]"#,
        all("!tools"),
    ),
    (
        "googleMaps",
        r#""tools":[{"googleMaps":{}}]"#,
        all("!tools"),
    ),
    (
        "mcpServers",
        r#""tools":[{"mcpServers":[{}]}]"#,
        all("!tools"),
    ),
    (
        "functionCallingConfig.mode, AUTO",
        r#""tools":[{"functionDeclarations":[{"name":"f"}]}],"toolConfig":{"functionCallingConfig":{"mode":"AUTO"}}"#,
        all("=auto"),
    ),
    (
        "functionCallingConfig.mode, NONE",
        r#""tools":[{"functionDeclarations":[{"name":"f"}]}],"toolConfig":{"functionCallingConfig":{"mode":"NONE"}}"#,
        all("=none"),
    ),
    (
        "functionCallingConfig.mode, ANY",
        r#""tools":[{"functionDeclarations":[{"name":"f"}]}],"toolConfig":{"functionCallingConfig":{"mode":"ANY"}}"#,
        ["=required", "=required", "=\"any\""],
    ),
    (
        "functionCallingConfig.mode, VALIDATED",
        r#""tools":[{"functionDeclarations":[{"name":"f"}]}],"toolConfig":{"functionCallingConfig":{"mode":"VALIDATED"}}"#,
        all("approximated:toolConfig"),
    ),
    (
        "functionCallingConfig.mode, unknown",
        r#""toolConfig":{"functionCallingConfig":{"mode":"LATER"}}"#,
        all("!toolConfig.mode"),
    ),
    (
        "allowedFunctionNames, one",
        r#""tools":[{"functionDeclarations":[{"name":"f7"},{"name":"g"}]}],"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f7"]}}"#,
        [
            "=\"function\":{\"name\":\"f7\"}}",
            "=\"tool_choice\":{\"type\":\"function\",\"name\":\"f7\"}",
            "=\"tool_choice\":{\"type\":\"tool\",\"name\":\"f7\"}",
        ],
    ),
    (
        "allowedFunctionNames, some",
        r#""tools":[{"functionDeclarations":[{"name":"f"},{"name":"g"},{"name":"h"}]}],"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f","g"]}}"#,
        all("!toolConfig.allowedFunctionNames"),
    ),
    (
        "streamFunctionCallArguments",
        r#""toolConfig":{"functionCallingConfig":{"streamFunctionCallArguments":true}}"#,
        all("dropped:streamFunctionCallArguments"),
    ),
    (
        "retrievalConfig",
        r#""toolConfig":{"retrievalConfig":{}}"#,
        all("dropped:retrievalConfig"),
    ),
    (
        "includeServerSideToolInvocations",
        r#""toolConfig":{"includeServerSideToolInvocations":true}"#,
        all("dropped:includeServerSideToolInvocations"),
    ),
];

/// Fields of `generationConfig`.
const CONFIG: &[Row] = &[
    (
        "temperature",
        r#""temperature":0.7"#,
        all("=\"temperature\":0.7"),
    ),
    ("topP", r#""topP":0.7"#, all("=\"top_p\":0.7")),
    (
        "topK",
        r#""topK":7"#,
        ["=\"top_k\":7", "dropped:top_k", "=\"top_k\":7"],
    ),
    (
        "maxOutputTokens",
        r#""maxOutputTokens":77"#,
        [
            "=\"max_tokens\":77",
            "=\"max_output_tokens\":77",
            "=\"max_tokens\":77",
        ],
    ),
    (
        "stopSequences",
        r#""stopSequences":["s7"]"#,
        [
            "=\"stop\":[\"s7\"]",
            "!stop",
            "=\"stop_sequences\":[\"s7\"]",
        ],
    ),
    ("candidateCount, one", r#""candidateCount":1"#, all("=hi")),
    (
        "candidateCount",
        r#""candidateCount":2"#,
        [
            "=\"n\":2",
            "!generationConfig.candidateCount",
            "!generationConfig.candidateCount",
        ],
    ),
    (
        "seed",
        r#""seed":7"#,
        ["=\"seed\":7", "dropped:seed", "dropped:seed"],
    ),
    (
        "presencePenalty",
        r#""presencePenalty":0.7"#,
        [
            "=\"presence_penalty\":0.7",
            "dropped:presence_penalty",
            "dropped:presence_penalty",
        ],
    ),
    (
        "frequencyPenalty",
        r#""frequencyPenalty":0.7"#,
        [
            "=\"frequency_penalty\":0.7",
            "dropped:frequency_penalty",
            "dropped:frequency_penalty",
        ],
    ),
    (
        "responseLogprobs",
        r#""responseLogprobs":true"#,
        [
            "=\"logprobs\":true",
            "=message.output_text.logprobs",
            "dropped:logprobs",
        ],
    ),
    (
        "logprobs",
        r#""responseLogprobs":true,"logprobs":7"#,
        [
            "=\"top_logprobs\":7",
            "=\"top_logprobs\":7",
            "dropped:logprobs",
        ],
    ),
    (
        "responseMimeType, JSON",
        r#""responseMimeType":"application/json""#,
        ["=json_object", "=json_object", "!response_format"],
    ),
    (
        "responseMimeType, one of a list",
        r#""responseMimeType":"text/x.enum""#,
        all("!generationConfig.responseMimeType"),
    ),
    (
        "responseSchema",
        r#""responseMimeType":"application/json","responseSchema":{"type":"OBJECT","title":"t7"}"#,
        all("={\"type\":\"object\",\"title\":\"t7\"}"),
    ),
    (
        "responseJsonSchema",
        r#""responseMimeType":"application/json","responseJsonSchema":{"title":"t7"}"#,
        all("={\"title\":\"t7\"}"),
    ),
    (
        "both kinds of schemas",
        r#""responseMimeType":"application/json","responseJsonSchema":{},"responseSchema":{}"#,
        all("!generationConfig.responseSchema"),
    ),
    (
        "_responseJsonSchema",
        r#""responseMimeType":"application/json","_responseJsonSchema":{}"#,
        all("!generationConfig.ResponseJsonSchema"),
    ),
    (
        "responseFormat",
        r#""responseFormat":{}"#,
        all("!generationConfig.responseFormat"),
    ),
    (
        "responseModalities, text",
        r#""responseModalities":["TEXT"]"#,
        all("=hi"),
    ),
    (
        "responseModalities",
        r#""responseModalities":["AUDIO"]"#,
        all("!generationConfig.responseModalities"),
    ),
    (
        "speechConfig",
        r#""speechConfig":{}"#,
        all("!generationConfig.speechConfig"),
    ),
    (
        "imageConfig",
        r#""imageConfig":{}"#,
        all("!generationConfig.imageConfig"),
    ),
    (
        "translationConfig",
        r#""translationConfig":{}"#,
        all("!generationConfig.translationConfig"),
    ),
    (
        "continuationToken",
        r#""continuationToken":"7""#,
        all("!generationConfig.continuationToken"),
    ),
    (
        "mediaResolution",
        r#""mediaResolution":"MEDIA_RESOLUTION_LOW""#,
        all("dropped:mediaResolution"),
    ),
    (
        "audioTimestamp",
        r#""audioTimestamp":true"#,
        all("dropped:audioTimestamp"),
    ),
    (
        "enableEnhancedCivicAnswers",
        r#""enableEnhancedCivicAnswers":true"#,
        all("dropped:enableEnhancedCivicAnswers"),
    ),
    (
        "enableAffectiveDialog",
        r#""enableAffectiveDialog":true"#,
        all("dropped:enableAffectiveDialog"),
    ),
    (
        "routingConfig",
        r#""routingConfig":{}"#,
        all("dropped:routingConfig"),
    ),
    (
        "modelSelectionConfig",
        r#""modelSelectionConfig":{}"#,
        all("dropped:modelSelectionConfig"),
    ),
    (
        "thinkingConfig.thinkingLevel",
        r#""thinkingConfig":{"thinkingLevel":"LOW"}"#,
        all("=\"low\""),
    ),
    (
        "thinkingConfig.thinkingLevel, unknown",
        r#""thinkingConfig":{"thinkingLevel":"WILD"}"#,
        all("!generationConfig.thinkingLevel"),
    ),
    (
        "thinkingConfig.thinkingBudget",
        r#""thinkingConfig":{"thinkingBudget":9000}"#,
        all("approximated:thinking"),
    ),
    (
        "thinkingConfig.includeThoughts",
        r#""thinkingConfig":{"includeThoughts":true,"thinkingLevel":"LOW"}"#,
        [
            "dropped:summary",
            "=\"summary\":\"auto\"",
            "=\"summarized\"",
        ],
    ),
];

/// Parts of what the user says.
const USER: &[Row] = &[
    ("text", r#"{"text":"t7"}"#, all("=t7")),
    (
        "inlineData, a picture",
        r#"{"inlineData":{"mimeType":"image/png","data":"AAA7"}}"#,
        all("=AAA7"),
    ),
    (
        "inlineData, a PDF",
        r#"{"inlineData":{"mimeType":"application/pdf","data":"AAA7","displayName":"n7"}}"#,
        all("=n7"),
    ),
    (
        "inlineData, a film",
        r#"{"inlineData":{"mimeType":"video/mp4","data":"AAA7"}}"#,
        all("!contents.mimeType"),
    ),
    (
        "fileData, an address",
        r#"{"fileData":{"mimeType":"image/png","fileUri":"https://example.com/7.png"}}"#,
        all("=https://example.com/7.png"),
    ),
    (
        "fileData, kept",
        r#"{"fileData":{"mimeType":"image/png","fileUri":"https://generativelanguage.googleapis.com/v1beta/files/7"}}"#,
        all("!contents.fileUri"),
    ),
    (
        "videoMetadata",
        r#"{"text":"t","videoMetadata":{"fps":7}}"#,
        all("dropped:videoMetadata"),
    ),
    (
        "mediaResolution",
        r#"{"text":"t","mediaResolution":{"level":"MEDIA_RESOLUTION_LOW"}}"#,
        all("dropped:mediaResolution"),
    ),
    (
        "partMetadata",
        r#"{"text":"t","partMetadata":{"a":7}}"#,
        all("dropped:partMetadata"),
    ),
    (
        "thought",
        r#"{"text":"t","thought":true}"#,
        all("!contents.thought"),
    ),
    (
        "functionCall",
        r#"{"functionCall":{"name":"f"}}"#,
        all("!contents.functionCall"),
    ),
    (
        "functionResponse",
        r#"{"functionResponse":{"id":"c7","name":"f","response":{"output":"r7"}}}"#,
        all("=r7"),
    ),
    (
        "functionResponse.error",
        r#"{"functionResponse":{"id":"c7","name":"f","response":{"error":"r7"}}}"#,
        ["dropped:is_error", "dropped:is_error", "=\"is_error\":true"],
    ),
    (
        "functionResponse.response, any object",
        r#"{"functionResponse":{"id":"c7","name":"f","response":{"a": [7]}}}"#,
        all("={\\\"a\\\": [7]}"),
    ),
    (
        "functionResponse.parts",
        r#"{"functionResponse":{"id":"c7","name":"f","response":{},"parts":[{"inlineData":{"mimeType":"image/png","data":"AAA7"}}]}}"#,
        ["moved:tool_result", "=AAA7", "=AAA7"],
    ),
    (
        "functionResponse.willContinue",
        r#"{"functionResponse":{"id":"c7","name":"f","response":{},"willContinue":true}}"#,
        all("!contents.willContinue"),
    ),
    (
        "functionResponse.scheduling",
        r#"{"functionResponse":{"id":"c7","name":"f","response":{},"scheduling":"SILENT"}}"#,
        all("dropped:scheduling"),
    ),
    (
        "two in one",
        r#"{"text":"t","inlineData":{"mimeType":"image/png","data":"AAA7"}}"#,
        all("!contents.parts"),
    ),
    (
        "what nobody knows",
        r#"{"hologram":{}}"#,
        all("!contents.parts"),
    ),
];

/// Parts of what the model said.
const MODEL: &[Row] = &[
    ("text", r#"{"text":"t7"}"#, all("=t7")),
    (
        "thought",
        r#"{"text":"t7","thought":true}"#,
        ["dropped:thinking", "dropped:thinking", "dropped:reasoning"],
    ),
    (
        "thoughtSignature",
        r#"{"text":"t","thoughtSignature":"CiQBc2ln"}"#,
        ["dropped:thinking", "dropped:thinking", "dropped:reasoning"],
    ),
    (
        "functionCall",
        r#"{"functionCall":{"id":"c8","name":"f","args":{"a": 7}}}"#,
        ["=\"{\\\"a\\\": 7}\"", "=\"{\\\"a\\\": 7}\"", "={\"a\": 7}"],
    ),
    (
        "functionCall.partialArgs",
        r#"{"functionCall":{"name":"f","partialArgs":[]}}"#,
        all("!contents.partialArgs"),
    ),
    (
        "functionCall.willContinue",
        r#"{"functionCall":{"name":"f","willContinue":true}}"#,
        all("!contents.partialArgs"),
    ),
    (
        "functionResponse",
        r#"{"functionResponse":{"name":"f"}}"#,
        all("!contents.functionResponse"),
    ),
    (
        "inlineData",
        r#"{"inlineData":{"mimeType":"image/png","data":"AAA7"}}"#,
        all("!contents.inlineData"),
    ),
    (
        "executableCode",
        r#"{"executableCode":{"code":"7"}}"#,
        all("!contents.parts"),
    ),
    (
        "executableCode, signed",
        r#"{"executableCode":{"code":"7"},"thoughtSignature":"CiQBc2ln"}"#,
        all("!contents.parts"),
    ),
    (
        "codeExecutionResult",
        r#"{"codeExecutionResult":{"output":"7"}}"#,
        all("!contents.parts"),
    ),
    (
        "toolCall",
        r#"{"toolCall":{},"thoughtSignature":"CiQBc2ln"}"#,
        all("!contents.parts"),
    ),
    (
        "toolResponse",
        r#"{"toolResponse":{}}"#,
        all("!contents.parts"),
    ),
    (
        "a call that was thought",
        r#"{"functionCall":{"name":"f"},"thought":true}"#,
        all("!contents.thought"),
    ),
];

/// Fields of a candidate, but for its parts and why it ended.
const CANDIDATE: &[Row] = &[
    ("index", r#""index":0"#, all("-")),
    (
        "finishMessage",
        r#""finishMessage":"m7""#,
        all("dropped:finishMessage"),
    ),
    (
        "safetyRatings",
        r#""safetyRatings":[{"category":"c7","probability":"NEGLIGIBLE"}]"#,
        all("-"),
    ),
    (
        "safetyRatings, of a danger",
        r#""safetyRatings":[{"category":"c7","probability":"LOW"}]"#,
        all("dropped:safetyRatings"),
    ),
    (
        "safetyRatings, blocked",
        r#""safetyRatings":[{"category":"c7","blocked":true}]"#,
        all("dropped:safetyRatings"),
    ),
    (
        "citationMetadata",
        r#""citationMetadata":{"citationSources":[]}"#,
        all("dropped:citationMetadata"),
    ),
    ("tokenCount", r#""tokenCount":7"#, all("-")),
    ("avgLogprobs", r#""avgLogprobs":-7"#, all("-")),
    (
        "groundingAttributions",
        r#""groundingAttributions":[{}]"#,
        all("dropped:groundingAttributions"),
    ),
    (
        "groundingMetadata, empty",
        r#""groundingMetadata":{}"#,
        all("-"),
    ),
    (
        "groundingMetadata",
        r#""groundingMetadata":{"webSearchQueries":["q7"]}"#,
        all("dropped:groundingMetadata"),
    ),
    (
        "urlContextMetadata",
        r#""urlContextMetadata":{"urlMetadata":[]}"#,
        all("dropped:urlContextMetadata"),
    ),
    (
        "what nobody knows",
        r#""whatever7":7"#,
        all("dropped:unlisted"),
    ),
    (
        "logprobsResult",
        r#""logprobsResult":{"chosenCandidates":[{"token":"t7","logProbability":-0.7}]}"#,
        ["=\"logprob\":-0.7", "=\"logprob\":-0.7", "dropped:logprobs"],
    ),
    (
        "continuationToken",
        r#""continuationToken":"7""#,
        all("dropped:continuationToken"),
    ),
];

/// Why it ended.
const REASONS: &[Row] = &[
    (
        "FINISH_REASON_UNSPECIFIED",
        "",
        ["=\"stop\"", "=\"completed\"", "=end_turn"],
    ),
    ("STOP", "", ["=\"stop\"", "=\"completed\"", "=end_turn"]),
    (
        "MAX_TOKENS",
        "",
        ["=\"length\"", "=max_output_tokens", "=max_tokens"],
    ),
    (
        "CONTINUATION",
        "",
        ["=\"length\"", "=max_output_tokens", "=max_tokens"],
    ),
    (
        "SAFETY",
        "",
        ["=content_filter", "=content_filter", "=refusal"],
    ),
    (
        "RECITATION",
        "",
        ["=content_filter", "=content_filter", "=refusal"],
    ),
    (
        "LANGUAGE",
        "",
        ["=content_filter", "=content_filter", "=refusal"],
    ),
    (
        "OTHER",
        "",
        ["=content_filter", "=content_filter", "=refusal"],
    ),
    (
        "BLOCKLIST",
        "",
        ["=content_filter", "=content_filter", "=refusal"],
    ),
    (
        "PROHIBITED_CONTENT",
        "",
        ["=content_filter", "=content_filter", "=refusal"],
    ),
    (
        "SPII",
        "",
        ["=content_filter", "=content_filter", "=refusal"],
    ),
    (
        "MODEL_ARMOR",
        "",
        ["=content_filter", "=content_filter", "=refusal"],
    ),
    (
        "IMAGE_SAFETY",
        "",
        ["=content_filter", "=content_filter", "=refusal"],
    ),
    (
        "NO_IMAGE",
        "",
        ["=content_filter", "=content_filter", "=refusal"],
    ),
    ("MALFORMED_FUNCTION_CALL", "", all("!")),
    ("UNEXPECTED_TOOL_CALL", "", all("!")),
    ("TOO_MANY_TOOL_CALLS", "", all("!")),
    ("MISSING_THOUGHT_SIGNATURE", "", all("!")),
    ("MALFORMED_RESPONSE", "", all("!")),
];

/// Parts of an answer.
const SAID: &[Row] = &[
    ("text", r#"{"text":"t7"}"#, all("=t7")),
    ("thought", r#"{"text":"t7","thought":true}"#, all("=t7")),
    (
        "thoughtSignature",
        r#"{"text":"t","thoughtSignature":"CiQBc2ln"}"#,
        all("=CiQBc2ln"),
    ),
    (
        "functionCall",
        r#"{"functionCall":{"id":"c7","name":"f","args":{"a": 7}}}"#,
        all("=c7"),
    ),
    (
        "functionCall.partialArgs",
        r#"{"functionCall":{"name":"f","partialArgs":[]}}"#,
        all("!"),
    ),
    (
        "inlineData",
        r#"{"inlineData":{"mimeType":"image/png","data":"AAA7"}}"#,
        all("!"),
    ),
    (
        "fileData",
        r#"{"fileData":{"mimeType":"image/png","fileUri":"https://example.com/7"}}"#,
        all("!"),
    ),
    (
        "executableCode",
        r#"{"executableCode":{"code":"7"}}"#,
        all("dropped:executableCode"),
    ),
    (
        "codeExecutionResult",
        r#"{"codeExecutionResult":{"output":"7"}}"#,
        all("dropped:codeExecutionResult"),
    ),
    (
        "toolCall",
        r#"{"toolCall":{"id":"7"}}"#,
        all("dropped:toolCall"),
    ),
    (
        "partMetadata",
        r#"{"text":"","partMetadata":{"a":7}}"#,
        all("dropped:partMetadata"),
    ),
];

/// Fields beside the candidates.
const ANSWER: &[Row] = &[
    ("responseId", r#""responseId":"r7""#, all("=r7")),
    ("modelVersion", r#""modelVersion":"m7""#, all("=m7")),
    (
        "modelStatus",
        r#""modelStatus":{"message":"7"}"#,
        all("dropped:modelStatus"),
    ),
    (
        "createTime",
        r#""createTime":"2026-11-01T00:00:00Z""#,
        all("-"),
    ),
    (
        "promptFeedback.safetyRatings",
        r#""promptFeedback":{"safetyRatings":[]}"#,
        all("-"),
    ),
    (
        "promptTokenCount",
        r#""usageMetadata":{"promptTokenCount":777,"candidatesTokenCount":1}"#,
        all("=777"),
    ),
    (
        "cachedContentTokenCount",
        r#""usageMetadata":{"promptTokenCount":999,"cachedContentTokenCount":777,"candidatesTokenCount":1}"#,
        all("=777"),
    ),
    (
        "toolUsePromptTokenCount",
        r#""usageMetadata":{"promptTokenCount":700,"toolUsePromptTokenCount":77,"candidatesTokenCount":1}"#,
        all("=777"),
    ),
    (
        "candidatesTokenCount",
        r#""usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":777}"#,
        all("=777"),
    ),
    (
        "thoughtsTokenCount",
        r#""usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":700,"thoughtsTokenCount":77}"#,
        all("=777"),
    ),
];

/// What is not as the rows say.
fn requested(rows: &[Row], body: impl Fn(&str) -> String) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, field, fates) in rows {
        for (upstream, fate) in OTHERS.into_iter().zip(fates) {
            let said = request(GEMINI, upstream, body(field).as_bytes(), &target());
            let said = said.map(|it| {
                let sent = String::from_utf8(it.body.to_vec()).expect("text");
                (sent, it.warnings.to_string())
            });
            let right = match (&said, fate.strip_prefix('=')) {
                (Ok((sent, warnings)), Some(text)) => sent.contains(text) && warnings.is_empty(),
                (Ok((_, warnings)), None) => warnings == fate,
                (Err(error), _) => fate.strip_prefix('!') == Some(&error.path()),
            };
            if !right {
                wrong.push(format!("{name} for {upstream}: {fate} {said:?}"));
            }
        }
    }
    wrong
}

#[test]
fn of_a_request() {
    const HI: &str = r#""contents":[{"parts":[{"text":"hi"}]}]"#;
    let mut wrong = requested(REQUEST, |field| format!("{{{HI},{field}}}"));
    wrong.extend(requested(CONFIG, |field| {
        format!("{{{HI},\"generationConfig\":{{{field}}}}}")
    }));
    wrong.extend(requested(USER, |part| {
        let call = r#"{"functionCall":{"id":"c7","name":"f","args":{}}}"#;
        format!(r#"{{"contents":[{{"role":"model","parts":[{call}]}},{{"role":"user","parts":[{part}]}}]}}"#)
    }));
    wrong.extend(requested(MODEL, |part| {
        format!(r#"{{"contents":[{{"role":"model","parts":[{part}]}}]}}"#)
    }));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What the client of a format is told, with the warnings, or what is wrong.
fn told(client: FormatId, answer: &str) -> Result<(String, String), String> {
    let mut warnings = Warnings::default();
    let told = plan(client, GEMINI).answer_alone(answer.as_bytes(), &stamp(), &mut warnings);
    let told = told.map_err(|error| error.to_string())?;
    let told = String::from_utf8(told.to_vec()).expect("text");
    Ok((told, warnings.to_string()))
}

/// What is not as the rows say. `plain`: an answer without any of them.
fn answered(rows: &[Row], plain: &str, answer: impl Fn(&Row) -> String) -> Vec<String> {
    let mut wrong = Vec::new();
    for row in rows {
        for (client, fate) in OTHERS.into_iter().zip(row.2) {
            let said = told(client, &answer(row));
            let right = match (&said, fate.strip_prefix('=')) {
                (Ok((told, warnings)), Some(text)) => told.contains(text) && warnings.is_empty(),
                (Ok((said, warnings)), None) => {
                    let fate = fate.trim_start_matches('-');
                    *warnings == fate && Ok(said) == told(client, plain).as_ref().map(|it| &it.0)
                }
                (Err(_), _) => fate == "!",
            };
            if !right {
                wrong.push(format!("{} for {client}: {fate} {said:?}", row.0));
            }
        }
    }
    wrong
}

#[test]
fn of_an_answer() {
    let plain = r#"{"candidates":[{"content":{"parts":[{"text":"hi"}]},"finishReason":"STOP"}]}"#;
    let before = |place: &str, it: &str| plain.replacen(place, &format!("{it},{place}"), 1);
    let mut wrong = answered(CANDIDATE, plain, |row| before("\"finishReason\"", row.1));
    wrong.extend(answered(REASONS, plain, |row| plain.replace("STOP", row.0)));
    wrong.extend(answered(SAID, plain, |row| before("{\"text\"", row.1)));
    wrong.extend(answered(ANSWER, plain, |row| {
        before("\"candidates\"", row.1)
    }));
    assert!(wrong.is_empty(), "{wrong:#?}");
    let blocked = r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#;
    for (client, text) in OTHERS
        .into_iter()
        .zip(["content_filter", "content_filter", "refusal"])
    {
        assert!(
            told(client, blocked).expect("an answer").0.contains(text),
            "{client}"
        );
    }
}

/// The fields of others' that Gemini's requests have no place for, or only nearly.
#[test]
fn of_requests_of_others() {
    let tool = r#""tools":[{"type":"function","function":{"name":"f","strict":true}}]"#;
    for (field, fate) in [
        (r#""n":2"#, ""),
        (
            &*format!(
                r#"{},"parallel_tool_calls":false"#,
                tool.replace(",\"strict\":true", "")
            ),
            "dropped:parallel_tool_calls",
        ),
        (
            &*format!(
                r#"{},"parallel_tool_calls":true"#,
                tool.replace(",\"strict\":true", "")
            ),
            "",
        ),
        (tool, "dropped:strict"),
        (r#""user":"u""#, "dropped:user"),
        (r#""verbosity":"low""#, "dropped:verbosity"),
        (r#""logit_bias":{"1":2}"#, "dropped:logit_bias"),
        (r#""metadata":{"a":"b"}"#, "dropped:metadata"),
        (r#""service_tier":"flex""#, "dropped:service_tier"),
        (r#""prompt_cache_key":"k""#, "dropped:prompt_cache_key"),
        (r#""store":true"#, "dropped:store"),
        (r#""reasoning_effort":"whatever""#, "!reasoning_effort"),
        (
            r#""seed":7,"presence_penalty":0.5,"frequency_penalty":0.5,"top_k":3,"logprobs":true,"top_logprobs":2,"stop":["a"],"temperature":1.5,"top_p":0.5,"max_tokens":9"#,
            "",
        ),
    ] {
        let body =
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],{field}}}"#);
        let said = request(FormatId::OpenaiChat, GEMINI, body.as_bytes(), &target());
        let said = match said {
            Ok(translated) => translated.warnings.to_string(),
            Err(error) => format!("!{}", error.path()),
        };
        assert_eq!(said, fate, "{field}");
    }
}
