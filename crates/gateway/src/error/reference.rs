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
        "format_not_supported",
        "The provider does not speak this endpoint's format for the model.",
        "Use the endpoint in `endpoint`.",
    ),
    (
        "400",
        "invalid_request",
        "The body is not the JSON object that it must be, or `model` or `stream` is not usable.",
        "Mend the field in `field`.",
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
        "byok_key_disabled",
        "Every provider key that could serve the model is disabled.",
        "Enable one or add another.",
    ),
    (
        "402",
        "byok_key_missing",
        "Neither the workspace nor its account has a provider key for the model.",
        "Add one; `missing`, `providers` and `link` say where.",
    ),
    (
        "403",
        "permission_denied",
        "The API key lacks a scope.",
        "Use a key that has the scope in `needs`.",
    ),
    (
        "404",
        "endpoint_not_found",
        "There is no such endpoint below `/v1/`; no API key is needed to learn that.",
        "Use one of those in `endpoints`.",
    ),
    (
        "404",
        "model_not_found",
        "No provider of the instance knows the model.",
        "Write it as `provider/model`; `GET /v1/models` lists what the keys reach.",
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
        "The body is not declared as JSON.",
        "Send `Content-Type: application/json`.",
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
        "The provider did not accept the provider key; `attempts` lists each try.",
        "Check the key and its balance at the provider. Your API key is fine. Only the first enabled key by position is called; move or disable it to use the next.",
    ),
    (
        "502",
        "upstream_invalid_response",
        "The provider's answer is neither JSON nor an event stream.",
        "Check the base URL of the key.",
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
        "Submit the key again; the operator runs `keybearer doctor`.",
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
        "The provider refused with a status of its own and no JSON.",
        "The status is the provider's.",
    ),
];

/// The reference of all codes of the data plane as a part of a Markdown page.
pub fn error_reference() -> String {
    let mut page = String::from(
        "# Errors of the data plane\n\n\
         A refusal is written in the client's own format, with these codes in `error.code`. Fields that the table\n\
         names stand beside it. `x-keybearer-error-source: upstream` marks what the provider caused; a provider's own\n\
         `400`, `404`, `409`, `413`, `422` and `429` pass through in its words.\n\n\
         | status | code | meaning | what to do |\n| --- | --- | --- | --- |\n",
    );
    for (status, code, meaning, advice) in CODES {
        page.push_str(&format!("| {status} | `{code}` | {meaning} | {advice} |\n"));
    }
    page.push_str(
        "\n# Errors of the edge\n\n\
         What is refused before it reaches either plane, in the form of the control plane. `request_id` is `null`\n\
         where there was none yet.\n\n\
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
mod tests {
    use std::collections::BTreeSet;

    use domain::{Label, WorkspaceId};
    use http::StatusCode;

    use super::super::Failure;
    use super::{CODES, error_reference};

    /// One failure of each kind. The match has no wildcard, so that a new kind does not compile without a
    /// sample here and a row above.
    fn samples() -> Vec<Failure> {
        let provider: domain::ProviderId = "openai".parse().expect("a provider id");
        let workspace = WorkspaceId::from_bytes([0; 16]);
        let mut samples = vec![Failure::MethodNotAllowed("POST")];
        while let Some(last) = samples.last() {
            samples.push(match last {
                Failure::MethodNotAllowed(_) => Failure::EndpointNotFound,
                Failure::EndpointNotFound => Failure::CredentialsAmbiguous,
                Failure::CredentialsAmbiguous => Failure::CredentialsMissing,
                Failure::CredentialsMissing => Failure::CredentialsInvalid,
                Failure::CredentialsInvalid => Failure::PermissionDenied("inference:invoke"),
                Failure::PermissionDenied(_) => Failure::MediaType,
                Failure::MediaType => Failure::ContentEncoding,
                Failure::ContentEncoding => Failure::BodyTooLarge { limit: 1 },
                Failure::BodyTooLarge { .. } => Failure::BodyTooSlow,
                Failure::BodyTooSlow => Failure::BodyBroken,
                Failure::BodyBroken => Failure::InvalidRequest(
                    llm::head::read(b"").expect_err("an empty body is not a request"),
                ),
                Failure::InvalidRequest(_) => Failure::ModelNotFound { suggestion: None },
                Failure::ModelNotFound { .. } => Failure::KeyMissing {
                    providers: vec![provider.clone()],
                    workspace,
                },
                Failure::KeyMissing { .. } => Failure::KeyDisabled {
                    provider: provider.clone(),
                    label: Label::default(),
                    workspace,
                },
                Failure::KeyDisabled { .. } => Failure::FormatNotSupported { endpoint: None },
                Failure::FormatNotSupported { .. } => Failure::KeyUnreadable,
                Failure::KeyUnreadable => Failure::KmsUnavailable,
                Failure::KmsUnavailable => Failure::StoreUnavailable,
                Failure::StoreUnavailable => Failure::UsageUnavailable,
                Failure::UsageUnavailable => Failure::Overloaded,
                Failure::Overloaded => Failure::LoopDetected,
                Failure::LoopDetected => Failure::Internal,
                Failure::Internal => Failure::CredentialsExhausted {
                    attempts: Vec::new(),
                },
                Failure::CredentialsExhausted { .. } => Failure::UpstreamRedirect,
                Failure::UpstreamRedirect => Failure::UpstreamAddressRefused,
                Failure::UpstreamAddressRefused => Failure::UpstreamUnreachable,
                Failure::UpstreamUnreachable => Failure::UpstreamBadGateway { status: 500 },
                Failure::UpstreamBadGateway { .. } => Failure::UpstreamUnavailable { status: 503 },
                Failure::UpstreamUnavailable { .. } => Failure::UpstreamTimedOut,
                Failure::UpstreamTimedOut => Failure::UpstreamInvalidResponse,
                Failure::UpstreamInvalidResponse => Failure::UpstreamRejected {
                    status: StatusCode::IM_A_TEAPOT,
                },
                Failure::UpstreamRejected { .. } => Failure::UpstreamBroken,
                Failure::UpstreamBroken => break,
            });
        }
        samples
    }

    #[test]
    fn every_code_has_one_row_with_its_status() {
        let mut seen = BTreeSet::new();
        for failure in samples() {
            let row = CODES.iter().find(|(_, code, _, _)| *code == failure.code());
            let (status, code, _, _) =
                row.unwrap_or_else(|| panic!("{} has no row", failure.code()));
            let own = failure.status().as_u16().to_string();
            assert!(*status == own || *status == "as sent", "{code} is {own}");
            seen.insert(*code);
        }
        assert_eq!(seen.len(), CODES.len(), "a row that no failure has");
    }

    #[test]
    fn the_edges_codes_have_rows_of_their_own() {
        let page = error_reference();
        let (_, edge) = page
            .split_once("# Errors of the edge\n")
            .expect("a section");
        for row in [
            "| 400 | `invalid_host` |",
            "| 400 | `invalid_request_target` |",
            "| 500 | `internal_error` |",
            "| 503 | `overloaded` |",
            "| 503 | `random_unavailable` |",
        ] {
            assert_eq!(edge.matches(row).count(), 1, "{row}");
        }
    }
}
