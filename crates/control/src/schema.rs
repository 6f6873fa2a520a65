//! Schemas of closed sets of names: computed from the sets, so that the document cannot say another thing than
//! the code.

use domain::access::{ApiScope, Role};
use domain::key::FailureKind;
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
    let kinds = FailureKind::ALL.map(|kind| Some(kind.as_str()));
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .enum_values(Some(kinds.into_iter().chain([None])))
        .build()
}

/// Whose a provider key is.
pub(crate) fn key_scope() -> Object {
    one_of(["workspace", "account"])
}

/// How provider keys may be submitted.
pub(crate) fn submission() -> Object {
    one_of(["sealed_only", "both"])
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

fn one_of(names: impl IntoIterator<Item = &'static str>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(names))
        .build()
}

fn list_of(names: impl IntoIterator<Item = &'static str>) -> Array {
    ArrayBuilder::new().items(one_of(names)).build()
}
