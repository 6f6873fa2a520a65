//! Each kind of failure has a row of the reference, and each row a failure.

use std::collections::BTreeSet;

use domain::policy::Tier;
use domain::{Label, NanoUsd, Timestamp, WorkspaceId};
use http::StatusCode;

use super::super::{Failure, KeyName, Layer, OwnKeys};
use super::{CODES, error_reference};

/// One failure of each kind. The match has no wildcard, so that a new kind does not compile without a
/// sample here and a row above.
fn samples() -> Vec<Failure> {
    let provider: domain::ProviderId = "openai".parse().expect("a provider id");
    let workspace = WorkspaceId::from_bytes([0; 16]);
    let key = KeyName {
        provider: provider.clone(),
        label: Label::default(),
        workspace,
        variables: Box::default(),
    };
    let mut samples = vec![Failure::MethodNotAllowed("POST")];
    while let Some(last) = samples.last() {
        samples.push(match last {
            Failure::MethodNotAllowed(_) => Failure::EndpointNotFound,
            Failure::EndpointNotFound => Failure::EndpointElsewhere("/v1/messages"),
            Failure::EndpointElsewhere(_) => Failure::UnknownProvider,
            Failure::UnknownProvider => Failure::WorkspaceKeyMissing {
                provider: provider.clone(),
                workspace,
            },
            Failure::WorkspaceKeyMissing { .. } => Failure::ObjectKeyUnavailable {
                provider: provider.clone(),
                workspace,
            },
            Failure::ObjectKeyUnavailable { .. } => Failure::ObjectKeysDiffer {
                providers: vec![provider.clone()],
            },
            Failure::ObjectKeysDiffer { .. } => Failure::InvalidPath,
            Failure::InvalidPath => Failure::PathClosed,
            Failure::PathClosed => Failure::UpgradeNotSupported,
            Failure::UpgradeNotSupported => Failure::UpgradeRequired,
            Failure::UpgradeRequired => Failure::CredentialsAmbiguous,
            Failure::CredentialsAmbiguous => Failure::CredentialsInQuery,
            Failure::CredentialsInQuery => Failure::CredentialsMissing,
            Failure::CredentialsMissing => Failure::CredentialsInvalid,
            Failure::CredentialsInvalid => Failure::CrossSite,
            Failure::CrossSite => Failure::PermissionDenied("inference:invoke"),
            Failure::PermissionDenied(_) => Failure::TooManyCalls { limit: 1 },
            Failure::TooManyCalls { .. } => Failure::MediaType(&[]),
            Failure::MediaType(_) => Failure::ContentEncoding,
            Failure::ContentEncoding => Failure::BodyTooLarge { limit: 1 },
            Failure::BodyTooLarge { .. } => Failure::BodyTooSlow,
            Failure::BodyTooSlow => Failure::BodyBroken,
            Failure::BodyBroken => Failure::InvalidRequest(
                llm::head::read(b"").expect_err("an empty body is not a request"),
            ),
            Failure::InvalidRequest(_) => Failure::InvalidHeader(http::header::HOST),
            Failure::InvalidHeader(_) => {
                Failure::none_served(vec![Failure::ModelNotChosen, Failure::ModelNotChosen])
            }
            Failure::NoneServed { .. } => Failure::ModelNotChosen,
            Failure::ModelNotChosen => Failure::ModelNotFound {
                suggestion: None,
                has_suffix: true,
            },
            Failure::ModelNotFound { .. } => Failure::PresetUnknown { presets: vec![] },
            Failure::PresetUnknown { .. } => Failure::PresetNotAlone,
            Failure::PresetNotAlone => Failure::TierUnset(Tier::Level1),
            Failure::TierUnset(tier) => Failure::TierLocked {
                tier: *tier,
                plans: vec![],
            },
            Failure::TierLocked { .. } => Failure::ModeNotOffered,
            Failure::ModeNotOffered => Failure::KeyMissing {
                providers: vec![provider.clone()],
                workspace,
                variables: Box::default(),
            },
            Failure::KeyMissing { .. } => Failure::KeyDisabled(key.clone()),
            Failure::KeyDisabled(_) => Failure::KeyRevoked(key.clone()),
            Failure::KeyRevoked(_) => Failure::KeyDormant {
                key: key.clone(),
                plans: vec![],
            },
            Failure::KeyDormant { .. } => Failure::ByokDisabled {
                provider: provider.clone(),
            },
            Failure::ByokDisabled { .. } => Failure::ByokRequired(Layer::Request),
            Failure::ByokRequired(_) => Failure::ByokForbidden,
            Failure::ByokForbidden => Failure::FieldNeedsOwnKey("models"),
            Failure::FieldNeedsOwnKey(_) => Failure::ManagedUnavailable {
                providers: vec![],
                own_keys: OwnKeys::Rest,
            },
            Failure::ManagedUnavailable { .. } => Failure::PriceUnknown {
                provider: provider.clone(),
            },
            Failure::PriceUnknown { .. } => Failure::CreditsExhausted {
                needed: NanoUsd::ZERO,
                available: NanoUsd::ZERO,
                resets_at: None,
            },
            Failure::CreditsExhausted { .. } => Failure::FallbackCapReached {
                cap: NanoUsd::ZERO,
                spent: NanoUsd::ZERO,
                resets_at: Timestamp::from_millis(0),
                workspace,
            },
            Failure::FallbackCapReached { .. } => Failure::FormatNotSupported { endpoint: None },
            Failure::FormatNotSupported { .. } => Failure::NotTranslatable {
                why: not_translatable(),
                endpoint: None,
            },
            Failure::NotTranslatable { .. } => Failure::KeyUnreadable,
            Failure::KeyUnreadable => Failure::PlatformKeyUnreadable,
            Failure::PlatformKeyUnreadable => Failure::KmsUnavailable,
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
            Failure::UpstreamInvalidResponse => Failure::UpstreamEncoded,
            Failure::UpstreamEncoded => Failure::UpstreamUnreadable,
            Failure::UpstreamUnreadable => Failure::UpstreamNotEncodable,
            Failure::UpstreamNotEncodable => Failure::UpstreamRejected {
                status: StatusCode::IM_A_TEAPOT,
                retry_after_s: None,
            },
            Failure::UpstreamRejected { .. } => Failure::UpstreamBroken,
            Failure::UpstreamBroken => break,
        });
    }
    samples
}

fn not_translatable() -> llm::translate::NotTranslatable {
    use llm::format::FormatId::{AnthropicMessages, OpenaiChat};
    let target = llm::translate::Target::default();
    let translated = llm::translate::request(OpenaiChat, AnthropicMessages, b"", &target);
    translated.expect_err("an empty body is not a request")
}

#[test]
fn every_code_has_one_row_with_its_status() {
    let mut seen = BTreeSet::new();
    for failure in samples() {
        let row = CODES.iter().find(|(_, code, _, _)| *code == failure.code());
        let (status, code, _, _) = row.unwrap_or_else(|| panic!("{} has no row", failure.code()));
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
