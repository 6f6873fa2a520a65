//! The reference of the data plane's codes: one row for each, held against [`super::Failure`] by a test; and
//! of the edge's.

use crate::edge::Problem;

/// Status, code, what it means, what to do.
const CODES: &[(&str, &str, &str, &str)] = &[
    (
        "400",
        "ambiguous_credentials",
        "The request carries several credentials.",
        "Send the API key in one header, once.",
    ),
    (
        "400",
        "api_key_in_query",
        "The URL carries a key in its query, as clients of Gemini's API may send it. It was not looked at.",
        "Send the API key in `x-goog-api-key`. What stood in a URL may have been logged: replace it.",
    ),
    (
        "400",
        "format_not_supported",
        "The provider does not speak this endpoint's format for the model.",
        "Use the endpoint in `endpoint`; where that is `null`, no endpoint serves such a call for the model: name another model.",
    ),
    (
        "400",
        "invalid_request",
        "The body is not the JSON object that it must be, or `model`, `models` or `stream` is not usable, or the body names another model than the path or has too many `requests`, or names a preset with parameters beside another model; or a header of ours has a value that it cannot have.",
        "Mend the field in `field` or the header in `header`.",
    ),
    (
        "400",
        "object_keys_differ",
        "The request names things that were made with different provider keys, and only the key that made something finds it.",
        "Make them with one key: the files of a prompt anew, or a response without `previous_response_id` whose input has the whole conversation.",
    ),
    (
        "400",
        "invalid_path",
        "The path below a provider has an empty segment, `.` or `..`, or something encoded that must not be or need not be.",
        "Write it plainly.",
    ),
    (
        "400",
        "upgrade_not_supported",
        "The request asks a provider's own path for a WebSocket or another upgrade of the connection.",
        "Use the provider's HTTP interface, or `GET /v1/realtime`.",
    ),
    (
        "400",
        "model_not_chosen",
        "The request leaves the choice of the model to its defaults, and there is none.",
        "Name a model, or set a default for the API key or the workspace.",
    ),
    (
        "400",
        "not_translatable",
        "The provider speaks another format, and the field `field` means something that this format cannot say.",
        "Leave the field out, or use the endpoint in `endpoint`.",
    ),
    (
        "401",
        "api_key_invalid",
        "The API key is unknown, revoked or expired.",
        "Use another one.",
    ),
    (
        "401",
        "api_key_missing",
        "There is no API key on the request.",
        "Send `Authorization: Bearer kb_...` or `x-api-key`.",
    ),
    (
        "402",
        "byok_disabled_for_provider",
        "Own keys for the provider are switched off in this instance, and nothing else may serve.",
        "An admin of the instance can switch them on; the modes `auto` and `managed` use the instance's key.",
    ),
    (
        "402",
        "byok_key_disabled",
        "Every provider key that could serve the model is disabled.",
        "Enable one or add another.",
    ),
    (
        "402",
        "byok_key_dormant",
        "There is a provider key, and the account's plan lets no own key serve.",
        "Change to one of the plans in `plans`; the key is kept.",
    ),
    (
        "402",
        "byok_key_missing",
        "Neither the workspace nor its account has a provider key for the model.",
        "Add one; `missing`, `providers` and `link` say where, and in local mode `variables` which variables were looked at.",
    ),
    (
        "402",
        "byok_key_revoked",
        "The provider key that served the model was removed.",
        "Add another one; `providers`, `label` and `link` say where.",
    ),
    (
        "402",
        "credits_exhausted",
        "The account's credits do not suffice for the call; `needed` is what would be held for it.",
        "Wait until `resets_at`, lower `max_tokens`, or ask the operator for credits. Own keys serve without credits.",
    ),
    (
        "402",
        "managed_fallback_cap_reached",
        "What credits may pay in place of failed own keys this month is spent.",
        "Mend the own keys, wait until `resets_at`, or raise the workspace's cap.",
    ),
    (
        "402",
        "managed_unavailable",
        "Credits would pay, and the instance has no key for any of `providers`.",
        "Bring a provider key, or ask the operator to add a platform key.",
    ),
    (
        "402",
        "price_unknown",
        "The price of the model is not known, and calls of such models are refused.",
        "Use another model, or ask the operator to set a price.",
    ),
    (
        "402",
        "workspace_key_missing",
        "Nothing is known of the provider's path, so only keys of the workspace serve it, and there is only a key of its account: under that other workspaces keep things, too.",
        "Add a key to the workspace itself; `providers` and `link` say where.",
    ),
    (
        "403",
        "byok_forbidden",
        "Only own keys could serve, and the workspace forbids them.",
        "An admin of the workspace can change its policy.",
    ),
    (
        "403",
        "cross_site_request",
        "The request has no API key and may be sent by a page of another site: its `Origin`, `Sec-Fetch-Site` or `Host` is not this machine's.",
        "Call from a program of this machine, or send an API key.",
    ),
    (
        "403",
        "field_needs_own_key",
        "The call would be paid by credits and has a field that changes its model or its price.",
        "Leave out the field that `field` names, or bring a provider key; own keys pass every field.",
    ),
    (
        "403",
        "byok_required",
        "Only credits could pay, and the request, the workspace or the endpoint (`layer`) forbids them.",
        "Bring a provider key, or lift the rule; an endpoint's rule stands, since its calls are not priced by tokens.",
    ),
    (
        "403",
        "mode_not_offered",
        "The instance offers neither the mode of the workspace nor `byok`, which would count in its place.",
        "An admin of the workspace can choose a mode that is offered.",
    ),
    (
        "403",
        "path_closed",
        "The path makes or manages credentials at the provider.",
        "Do it at the provider itself.",
    ),
    (
        "403",
        "permission_denied",
        "The API key lacks a scope.",
        "Use a key that has the scope in `needs`.",
    ),
    (
        "403",
        "plan_required",
        "The account's plan does not include the tier.",
        "Change to one of the plans in `plans`, or name a model.",
    ),
    (
        "404",
        "endpoint_not_found",
        "There is no such endpoint below `/v1/`, or a client's base URL has the version twice, or not at all before a path of a call; no API key is needed to learn that.",
        "Use one of those in `endpoints`. A base URL ends in `/v1` for OpenAI's SDKs and without it for Anthropic's and Google's.",
    ),
    (
        "404",
        "unknown_provider",
        "The path names a provider that the instance does not have, that is switched off, or that is open for some models only while the request names none.",
        "Name another, or ask an admin of the instance.",
    ),
    (
        "404",
        "model_not_found",
        "No provider of the instance knows the model, or it is switched off, or no model stands behind the tier in `tier`, or the workspace has no such preset but those in `presets`.",
        "Write it as `provider/model`; `GET /v1/models` lists what the caller is served.",
    ),
    (
        "404",
        "object_key_unavailable",
        "The response, file, batch or the like that the request names was made with a provider key that does not serve the call: it was removed or disabled, or it is not one for this model. Or nothing is known of it, and only keys of the account or the instance would serve, under which other workspaces keep things, too.",
        "Enable that key, add a key to the workspace itself, or make the object anew; a response goes on without `previous_response_id` when its input has the whole conversation.",
    ),
    (
        "405",
        "method_not_allowed",
        "The endpoint does not take this method.",
        "Use the method in `Allow`.",
    ),
    (
        "408",
        "request_timeout",
        "The body did not arrive in time.",
        "Send it again, faster.",
    ),
    (
        "413",
        "request_too_large",
        "The body is larger than `limit_bytes`.",
        "Send less, or ask the operator to raise `max_body_bytes`.",
    ),
    (
        "415",
        "unsupported_content_encoding",
        "The body is compressed.",
        "Send it as it is.",
    ),
    (
        "415",
        "unsupported_media_type",
        "The body is declared as something that the endpoint does not take.",
        "Send `Content-Type: application/json`, or `multipart/form-data` where the endpoint takes a form.",
    ),
    (
        "426",
        "upgrade_required",
        "`GET /v1/realtime` is a WebSocket, and the request is no opening handshake of one.",
        "Use a client of WebSockets.",
    ),
    (
        "429",
        "too_many_calls",
        "The API key has as many calls running as it may at once, `limit`.",
        "Wait for one to end, spread the calls over several API keys, or ask the operator to raise `max_calls_per_key`.",
    ),
    (
        "500",
        "internal_error",
        "The server failed at this request.",
        "Report the request id to the operator.",
    ),
    (
        "502",
        "upstream_address_refused",
        "The provider's address is not a public one.",
        "The operator may allow it in `allow_addresses`.",
    ),
    (
        "502",
        "upstream_bad_gateway",
        "The provider failed; `upstream_status` is its status.",
        "Try again.",
    ),
    (
        "502",
        "upstream_broken",
        "The provider broke off in the middle of its answer.",
        "Try again.",
    ),
    (
        "502",
        "upstream_credentials_exhausted",
        "Every provider key that may serve the call failed; `attempts` lists each try.",
        "Check the keys and their balance at the provider; where `key_source` is `managed` the key is the instance's: tell its operator. Your API key is fine.",
    ),
    (
        "502",
        "upstream_invalid_response",
        "The provider's answer is of no media type that the endpoint has (JSON, an event stream, sound for speech), or compressed although that was not asked for, or it has to be translated and cannot be read, or not be said in the endpoint's format.",
        "Check the base URL of the key; try an endpoint that the provider speaks itself.",
    ),
    (
        "502",
        "upstream_not_encodable",
        "The call asked for vectors as base64, the provider answered with numbers, and they could not be encoded: more than 32 MiB, or no lists of numbers that 32-bit floats can hold.",
        "Ask for `float`, or for fewer vectors.",
    ),
    (
        "502",
        "upstream_redirect",
        "The provider answered with a redirect, which is never followed.",
        "Check the base URL of the key.",
    ),
    (
        "502",
        "upstream_unreachable",
        "No connection to the provider.",
        "Try again.",
    ),
    (
        "503",
        "key_unreadable",
        "The stored provider key does not open: it was moved, edited or damaged.",
        "Submit the key again if it is yours, else tell the operator, who runs `keybearer doctor`.",
    ),
    (
        "503",
        "kms_unavailable",
        "The key service of the instance does not answer.",
        "Try again.",
    ),
    (
        "503",
        "overloaded",
        "The instance is busy with large requests.",
        "Try again after `Retry-After`.",
    ),
    (
        "503",
        "store_unavailable",
        "The database of the instance does not answer.",
        "Try again after `Retry-After`.",
    ),
    (
        "503",
        "upstream_unavailable",
        "The provider is overloaded or down.",
        "Try again.",
    ),
    (
        "503",
        "usage_unavailable",
        "The call could not be recorded, so it was not made.",
        "Try again after `Retry-After`.",
    ),
    (
        "504",
        "upstream_timeout",
        "The provider did not answer in time.",
        "Try again.",
    ),
    (
        "508",
        "loop_detected",
        "The request came back through this instance or too many others.",
        "Check the base URL of the key.",
    ),
    (
        "as sent",
        "upstream_rejected",
        "The provider refused with a status of its own: without JSON, or a call that a key of the instance served.",
        "The status is the provider's; its `code`, `type`, `param` and `status` stand in `upstream`, if it named any.",
    ),
];

/// The reference of all codes of the data plane as a part of a Markdown page.
pub fn error_reference() -> String {
    let mut page = String::from(
        "# Errors of the data plane\n\n\
         A refusal is written in the client's own format, with these codes in `error.code`. Fields that the table\n\
         names stand beside it. `x-keybearer-error-source: upstream` marks what the provider caused; a provider's own\n\
         `400`, `404`, `409`, `413`, `422` and `429` pass through in its words, but for keys of the instance.\n\n\
         | status | code | meaning | what to do |\n| --- | --- | --- | --- |\n",
    );
    for (status, code, meaning, advice) in CODES {
        page.push_str(&format!("| {status} | `{code}` | {meaning} | {advice} |\n"));
    }
    page.push_str(
        "\n# Errors of the edge\n\n\
         What is refused before it reaches either plane, in the form of the control plane. `request_id` is `null`\n\
         where there was none yet. What is no HTTP/1.1 gets `400`, and a request head that is too large `431`, both without a\n\
         body, and the connection is closed: heads of 64 KiB are taken, those of 128 KiB never.\n\n\
         | status | code | meaning | what to do |\n| --- | --- | --- | --- |\n",
    );
    for problem in Problem::ALL {
        let (status, code) = (problem.status().as_u16(), problem.code());
        let (meaning, advice) = (problem.meaning(), problem.advice());
        page.push_str(&format!("| {status} | `{code}` | {meaning} | {advice} |\n"));
    }
    page
}

#[cfg(test)]
mod tests;
