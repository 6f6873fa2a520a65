//! Schemas of closed sets of names: computed from the sets, so that the document cannot say another thing than
//! the code.

use crate::api::key_view::KeyState;
use crate::ops::ai_config;
use crate::ops::resolution::Then;
use domain::access::{ApiScope, Role};
use domain::credits::EntryKind;
use domain::key::FailureKind;
use domain::naming::Level;
use domain::policy::{ByokRule, KeySource, Mode, Tier};
use domain::price::Pricing;
use domain::resolve::Verdict;
use llm::format::FormatId;
use llm::provider::{Kind, PaymentMode, Status};
use utoipa::openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, SchemaType, Type};

/// A role of a member.
pub(crate) fn role() -> Object {
    one_of(Role::ALL.map(Role::as_str))
}

/// A role that can be given; ownership cannot.
pub(crate) fn given_role() -> Object {
    let given = Role::ALL.into_iter().filter(|role| *role != Role::Owner);
    one_of(given.map(Role::as_str))
}

/// Scopes of an API key.
pub(crate) fn api_scopes() -> Array {
    list_of(ApiScope::ALL.iter().map(|scope| scope.as_str()))
}

/// Why a key failed.
pub(crate) fn failure_kind() -> Object {
    one_of(FailureKind::ALL.map(FailureKind::as_str))
}

/// Why a key failed, or `null`.
pub(crate) fn optional_failure_kind() -> Object {
    nullable(FailureKind::ALL.map(FailureKind::as_str))
}

/// Whose a provider key is.
pub(crate) fn key_scope() -> Object {
    one_of(["workspace", "account", "instance"])
}

/// How provider keys may be submitted.
pub(crate) fn submission() -> Object {
    one_of(["sealed_only", "both"])
}

/// Who pays.
pub(crate) fn mode() -> Object {
    one_of(Mode::ALL.iter().map(|mode| mode.as_str()))
}

/// Who pays, or `null`.
pub(crate) fn nullable_mode() -> Object {
    nullable(Mode::ALL.iter().map(|mode| mode.as_str()))
}

/// What a call meets under an AI config.
pub(crate) fn config_status() -> Object {
    one_of(ai_config::Status::ALL.map(ai_config::Status::as_str))
}

/// Whether own keys must or must not serve.
pub(crate) fn byok_rule() -> Object {
    one_of(ByokRule::ALL.iter().map(|rule| rule.as_str()))
}

/// Names that stand for models.
pub(crate) fn tiers() -> Array {
    list_of(Tier::ALL.iter().map(|tier| tier.as_str()))
}

/// A name that stands for a model, or `null`.
pub(crate) fn nullable_tier() -> Object {
    nullable(Tier::ALL.iter().map(|tier| tier.as_str()))
}

/// Who chose a model, or `null`.
pub(crate) fn nullable_level() -> Object {
    nullable(Level::ALL.iter().map(|level| level.as_str()))
}

/// Who pays for a call.
pub(crate) fn key_source() -> Object {
    one_of(KeySource::ALL.iter().map(|source| source.as_str()))
}

/// Who paid for a call, or `null`.
pub(crate) fn nullable_key_source() -> Object {
    nullable(KeySource::ALL.iter().map(|source| source.as_str()))
}

/// What a rule said.
pub(crate) fn verdict() -> Object {
    one_of(Verdict::ALL.iter().map(|verdict| verdict.as_str()))
}

/// Whether a provider key serves.
pub(crate) fn key_state() -> Object {
    one_of(KeyState::ALL.map(KeyState::as_str))
}

/// What calls meet once a key is gone.
pub(crate) fn then() -> Object {
    one_of(Then::ALL.map(Then::as_str))
}

/// What a plan limits.
pub(crate) fn resource() -> Object {
    one_of(["workspaces", "members", "api_keys", "provider_keys"])
}

/// Why the ledger has a transaction.
pub(crate) fn transaction_kind() -> Object {
    one_of(EntryKind::ALL.iter().map(|kind| kind.as_str()))
}

/// How well the cost of a call is known, or `null`.
pub(crate) fn nullable_pricing() -> Object {
    let all = [Pricing::Priced, Pricing::Estimated, Pricing::Unpriced];
    nullable(all.map(Pricing::as_str))
}

/// How an action ended.
pub(crate) fn outcome() -> Object {
    one_of(["ok", "refused", "probe_failed"])
}

/// Whether a provider serves.
pub(crate) fn provider_status() -> Object {
    let all = [
        Status::Active,
        Status::Staging,
        Status::Suspended,
        Status::Withdrawn,
    ];
    one_of(all.map(Status::as_str))
}

/// What sort of house a provider is.
pub(crate) fn provider_kind() -> Object {
    let all = [
        Kind::FirstParty,
        Kind::Cloud,
        Kind::ThirdParty,
        Kind::Gateway,
        Kind::Search,
    ];
    one_of(all.map(Kind::as_str))
}

/// Who may pay.
pub(crate) fn payment_modes() -> Array {
    list_of([PaymentMode::Byok, PaymentMode::Managed].map(PaymentMode::as_str))
}

/// Wire formats.
pub(crate) fn formats() -> Array {
    list_of([FormatId::OpenaiChat, FormatId::AnthropicMessages].map(FormatId::as_str))
}

fn nullable(names: impl IntoIterator<Item = &'static str>) -> Object {
    let names = names.into_iter().map(Some);
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .enum_values(Some(names.chain([None])))
        .build()
}

/// One of these names.
pub(crate) fn one_of(names: impl IntoIterator<Item = &'static str>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(names))
        .build()
}

fn list_of(names: impl IntoIterator<Item = &'static str>) -> Array {
    ArrayBuilder::new().items(one_of(names)).build()
}
