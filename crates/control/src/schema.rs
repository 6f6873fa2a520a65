//! Schemas of closed sets of names: computed from the sets, so that the document cannot say another thing than
//! the code.
//!
//! A field with such a schema has no other description than the one that is made here: what it says, and what each of
//! the names means.

mod means;
pub(crate) mod merge;
pub(crate) mod shapes;

use crate::api::key_view::KeyState;
use crate::ops::ai_config;
use crate::ops::offered_modes::Obstacle;
use crate::ops::release::Withheld;
use crate::ops::resolution::Then;
use domain::access::{ApiScope, Role};
use domain::credits::{CardKind, EntryKind, Overuse};
use domain::key::FailureKind;
use domain::naming::ChosenBy;
use domain::policy::{ByokRule, KeySource, Mode, Tier};
use domain::preset::Effort;
use domain::price::Pricing;
use domain::ranking::Ranking;
use domain::resolve::Verdict;
use domain::run::{OutputType, RunStatus, StepStatus, Visibility};
use domain::service::{Restart, RunOn};
use domain::settings::{
    AuditDetail, ByokMetering, MaskStyle, OnByokDisabled, OnKeyRemoved, Submission, Unpriced,
};
use llm::format::{FormatId, TokenLimit};
use llm::provider::{Kind, PaymentMode, Status};
use utoipa::openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, SchemaType, Type};

/// A name and what it means.
type Word = (&'static str, &'static str);

/// The wire formats, in the order of the documentation.
pub(crate) const FORMATS: [FormatId; 12] = [
    FormatId::OpenaiChat,
    FormatId::OpenaiResponses,
    FormatId::OpenaiEmbeddings,
    FormatId::OpenaiModerations,
    FormatId::OpenaiImages,
    FormatId::OpenaiSpeech,
    FormatId::OpenaiTranscriptions,
    FormatId::OpenaiRealtime,
    FormatId::Rerank,
    FormatId::AnthropicMessages,
    FormatId::GeminiGenerateContent,
    FormatId::GeminiEmbeddings,
];

macro_rules! schemas {
    ($($(#[$doc:meta])* $schema:ident = $form:ident($says:expr, $all:expr, $name:expr, $means:ident $(, $null:literal)?);)*) => {$(
        $(#[$doc])*
        pub(crate) fn $schema() -> schemas!(@$form) {
            $form($says, words($all, $name, means::$means) $(, $null)?)
        }
    )*};
    (@one_of) => { Object };
    (@one_or_null) => { Object };
    (@list_of) => { Array };
}

schemas! {
    /// A role of a member.
    role = one_of("The role in the workspace.", &Role::ALL, Role::as_str, role);
    /// A role that can be given; ownership cannot.
    given_role = one_of("The role that is given.", &[Role::Member, Role::Admin], Role::as_str, role);
    /// The role from which on something is seen.
    least_role = one_of("The least role that sees labels and masks of a workspace's provider keys; others see for which \
        providers there is a key. Those of the account's keys are the owner's.", &Role::ALL, Role::as_str, role);
    /// Scopes of an API key.
    api_scopes = list_of("What the API key may do.", ApiScope::ALL, ApiScope::as_str, scope);
    /// When a script runs.
    run_on = one_of("When the script runs.", RunOn::ALL, RunOn::as_str, run_on);
    /// A service's end.
    restart = one_of("What happens when the service ends by itself.", Restart::ALL, Restart::as_str, restart);
    /// How far a run has come.
    run_status = one_of("How far the run has come.", RunStatus::ALL, RunStatus::as_str, run_status);
    /// How far a step has come.
    step_status = one_of("How far the step has come.", StepStatus::ALL, StepStatus::as_str, step_status);
    /// What a step makes.
    output_type = one_of("What the step makes.", OutputType::ALL, OutputType::as_str, output);
    /// What a run makes.
    output_types = list_of("What the run makes: one of these or both, all of it or nothing.", OutputType::ALL,
        OutputType::as_str, output);
    /// Who may read a run.
    visibility = one_of("Who may read it beside its maker.", Visibility::ALL, Visibility::as_str, visibility);
    /// Why a key failed.
    failure_kind = one_of("Why the provider did not accept the key.", &FailureKind::ALL, FailureKind::as_str, failure);
    /// Why a key failed, or `null`.
    optional_failure_kind = one_or_null("Why the provider did not accept the key the last time.", &FailureKind::ALL,
        FailureKind::as_str, failure, "it never did so");
    /// How provider keys may be submitted.
    submission = one_of("How provider keys may be submitted; of the instance's setting and the server's option the \
        stricter one holds.", Submission::ALL, Submission::as_str, submission);
    /// Who pays.
    mode = one_of("Who pays.", Mode::ALL, Mode::as_str, mode);
    /// The mode that counts, or `null`.
    effective_mode = one_or_null("The mode that counts: `mode`, or where the instance does not offer it, `byok`.", Mode::ALL,
        Mode::as_str, mode, "the instance offers neither, and calls are refused");
    /// Who pays in new workspaces, or `null`.
    default_mode = one_or_null("Who pays in new workspaces.", Mode::ALL, Mode::as_str, mode,
        "as the instance says when one is made");
    /// The mode that a client wants.
    wanted_mode = one_or_null("Who pays; left out: as it is. `managed` removes the key that this configuration holds.",
        Mode::ALL, Mode::as_str, mode, "in a workspace a mode that spends no credits: `byok` where the instance offers \
        it, else the first one that it offers, else `400 mode_not_offered`; the key stays. In the defaults: as the \
        instance says when a workspace is made");
    /// The mode of new workspaces by the settings.
    new_workspace_mode = one_or_null("The mode of new workspaces; one of `modes`.", Mode::ALL, Mode::as_str, mode,
        "`managed` where the instance has a platform key that serves, else `byok`");
    /// The modes that are offered.
    modes = list_of("The modes that a workspace may be set to; at least one, none twice. A workspace that is set to another one counts \
        as `byok`; where that is not offered either, its calls are refused.", Mode::ALL, Mode::as_str, mode);
    /// What a call meets under an AI config.
    config_status = one_of("What a call of the provider's models meets, by the same decision as the call itself; without \
        a provider, a call that any own key may serve.", &ai_config::Status::ALL, ai_config::Status::as_str, status);
    /// What stands in the way of a mode, or `null`.
    obstacle = one_or_null("What stands in the way.", &Obstacle::ALL, Obstacle::as_str, obstacle, "nothing does");
    /// Whether own keys must or must not serve.
    byok_rule = one_of("A guardrail over the mode: whether own keys must or must not serve.", ByokRule::ALL,
        ByokRule::as_str, byok_rule);
    /// Names that stand for models.
    tiers = list_of("The tiers that may be called by name, by the account's plan; `level_1` and `embeddings` always.",
        Tier::ALL, Tier::as_str, tier);
    /// A name that stands for a model.
    tier = one_of("The name to call it by.", Tier::ALL, Tier::as_str, tier);
    /// A name that stands for a model, or `null`.
    nullable_tier = one_or_null("The tier that was chosen.", Tier::ALL, Tier::as_str, tier, "a model was chosen by name");
    /// By what providers are put in order, or `null`.
    nullable_ranking = one_or_null("By what the providers of the model are put in order.", Ranking::ALL, Ranking::as_str,
        ranking, "as they stand");
    /// How much a model thinks.
    effort = one_of("How much the model thinks, where it can be told.", Effort::ALL, Effort::as_str, effort);
    /// The same in a change of a preset.
    nullable_effort = one_or_null("How much the model thinks, where it can be told.", Effort::ALL, Effort::as_str, effort,
        "it is not said");
    /// Who chose a model, or `null`.
    nullable_level = one_or_null("Who chose the model.", ChosenBy::ALL, ChosenBy::as_str, level,
        "nobody, or the choice cannot be served");
    /// Who pays for a call.
    key_source = one_of("Who pays.", KeySource::ALL, KeySource::as_str, source);
    /// Who paid for a call, or `null`.
    nullable_key_source = one_or_null("Who paid.", KeySource::ALL, KeySource::as_str, source, "nothing served");
    /// What a rule said.
    verdict = one_of("What the rule said of its subject.", Verdict::ALL, Verdict::as_str, verdict);
    /// Whether a provider key serves.
    key_state = one_of("Whether the key serves.", &KeyState::ALL, KeyState::as_str, key_state);
    /// Why a key is not handed out.
    withheld = one_of("Why the key stays.", &Withheld::ALL, Withheld::as_str, withheld);
    /// What calls meet once a key is gone.
    then = one_of("What calls of the provider's models meet from now on, with the balance as it is.", &Then::ALL,
        Then::as_str, then);
    /// What calls would meet if a key were gone.
    if_removed = one_of("What calls of the provider's models would meet if the key were removed now; the `then` of the \
        answer to that, with the balance as it is.", &Then::ALL, Then::as_str, then);
    /// Why the ledger has a transaction.
    transaction_kind = one_of("Why it is there.", EntryKind::ALL, EntryKind::as_str, entry);
    /// Where credits come from.
    card_kind = one_of("Where the credits come from.", CardKind::ALL, CardKind::as_str, card);
    /// Where credits that came or ended come from, or `null`.
    nullable_card_kind = one_or_null("Where the credits that came or ended come from.", CardKind::ALL, CardKind::as_str,
        card, "it is no credits that came or ended together");
    /// Where credits that an admin gives come from.
    given_kind = one_of("Where the credits come from; included ones come with the plan.",
        &[CardKind::Grant, CardKind::TopUp, CardKind::Refund], CardKind::as_str, card);
    /// How well the cost of a call is known, or `null`.
    nullable_pricing = one_or_null("How well `cost_nano_usd` is known.", Pricing::ALL, Pricing::as_str, pricing,
        "the call has no cost to know: no provider served it, or costs are not recorded");
    /// Whether a provider serves.
    provider_status = one_of("Whether the provider's file lets it serve.",
        &[Status::Active, Status::Staging, Status::Suspended, Status::Withdrawn], Status::as_str, provider_status);
    /// What sort of house a provider is.
    provider_kind = one_of("What sort of house the provider is.",
        &[Kind::FirstParty, Kind::Cloud, Kind::ThirdParty, Kind::Gateway, Kind::Search], Kind::as_str, provider_kind);
    /// Who may pay.
    payment_modes = list_of("How the provider's calls may be paid.", &[PaymentMode::Byok, PaymentMode::Managed],
        PaymentMode::as_str, payment);
    /// Wire formats.
    formats = list_of("The formats that the provider speaks.", &FORMATS,
        FormatId::as_str, format);
    /// The field that limits a chat completion's output.
    token_limit = one_of("The field that limits the output.", &TokenLimit::ALL, TokenLimit::as_str, token_limit);
    /// What happens where own keys are switched off.
    on_byok_disabled = one_of("What happens to calls of workspaces that have an own key for a provider whose own keys are \
        switched off.", OnByokDisabled::ALL, OnByokDisabled::as_str, on_byok_disabled);
    /// What happens where the last own key was removed.
    on_key_removed = one_of("What happens to calls after the last own key for a provider was removed.", OnKeyRemoved::ALL,
        OnKeyRemoved::as_str, on_key_removed);
    /// What is recorded of own keys.
    byok_metering = one_of("What is recorded of calls on own keys.", ByokMetering::ALL, ByokMetering::as_str, metering);
    /// What is shown of provider keys.
    mask = one_of("What is shown of a provider key to those who may see it.", MaskStyle::ALL, MaskStyle::as_str, mask);
    /// What audit logs show.
    audit_detail = one_of("What the audit logs of workspaces and accounts show; the instance's always shows all.",
        AuditDetail::ALL, AuditDetail::as_str, audit);
    /// What happens when the balance does not suffice.
    overuse = one_of("What happens when a call costs more than the balance bears.", Overuse::ALL, Overuse::as_str, overuse);
    /// What happens to managed calls without a price.
    unpriced_managed = one_of("What happens to calls that credits pay of a model whose price is not known.", Unpriced::ALL,
        Unpriced::as_str, unpriced);
    /// What happens to calls on own keys without a price.
    unpriced_byok = one_of("What happens to calls on own keys of a model whose price is not known.", Unpriced::ALL,
        Unpriced::as_str, unpriced);
}

/// Whose a provider key is.
pub(crate) fn key_scope() -> Object {
    let all = [
        ("workspace", "it serves one workspace"),
        ("account", "it serves all workspaces of the account"),
        ("instance", "it serves managed calls of everybody"),
    ];
    one_of("Whose the key is.", all)
}

/// Whose a provider key that served is, or `null`.
pub(crate) fn nullable_key_scope() -> Object {
    let all = [
        ("workspace", "the workspace's own"),
        ("account", "of the account that the workspace belongs to"),
        ("instance", "a platform key"),
    ];
    one_or_null(
        "Whose the key is that served.",
        all,
        "none served, or the call is older than this field",
    )
}

/// Which database an instance has.
pub(crate) fn engine() -> Object {
    let all = [
        ("sqlite", "one file, which one process has to itself"),
        ("postgres", "a server, which processes share"),
    ];
    one_of("The database.", all)
}

/// What a plan limits.
pub(crate) fn resource() -> Object {
    let all = [
        ("workspaces", "those of the account"),
        ("members", "those of a workspace, the owner included"),
        ("api_keys", "those of a workspace that are not revoked"),
        (
            "provider_keys",
            "those of the account, and those of a workspace",
        ),
    ];
    one_of("What is limited.", all)
}

/// How an action ended.
pub(crate) fn outcome() -> Object {
    let all = [
        ("ok", "it was done"),
        ("refused", "the instance did not admit it"),
        ("probe_failed", "the provider did not accept the key"),
    ];
    one_of("How it ended.", all)
}

/// Credits, as a text or a number.
pub(crate) fn credits() -> Object {
    let says = "How many credits of 0.01 USD: above 0, at most 100000000, with at most seven digits behind the point; a \
        text or a number.";
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Number]))
        .description(Some(says))
        .examples([serde_json::json!("250")])
        .build()
}

/// A temperature in a change of a preset.
pub(crate) fn temperature() -> Object {
    decimal_or_null("The temperature, 0 to 2", 2.0, "0.2")
}

/// A probability mass in a change of a preset.
pub(crate) fn top_p() -> Object {
    decimal_or_null(
        "The probability mass that tokens are drawn from, 0 to 1",
        1.0,
        "0.9",
    )
}

fn decimal_or_null(says: &str, most: f64, example: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([
            Type::String,
            Type::Number,
            Type::Null,
        ]))
        .minimum(Some(0.0))
        .maximum(Some(most))
        .description(Some(format!(
            "{says}, at most nine digits behind the point; a text or a number. `null`: it is not said."
        )))
        .examples([serde_json::json!(example)])
        .build()
}

/// One of these names, with what each means.
pub(crate) fn one_of(says: &str, words: impl IntoIterator<Item = Word>) -> Object {
    let words: Vec<Word> = words.into_iter().collect();
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(described(says, &words)))
        .enum_values(Some(words.iter().map(|(name, _)| *name)))
        .build()
}

pub(crate) fn one_or_null(
    says: &str,
    words: impl IntoIterator<Item = Word>,
    null_means: &'static str,
) -> Object {
    let words: Vec<Word> = words.into_iter().collect();
    let names = words.iter().map(|(name, _)| Some(*name));
    let says = described(says, &[&words[..], &[("null", null_means)]].concat());
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .description(Some(says))
        .enum_values(Some(names.chain([None])))
        .build()
}

fn list_of(says: &str, words: impl IntoIterator<Item = Word>) -> Array {
    let words: Vec<Word> = words.into_iter().collect();
    let names = words.iter().map(|(name, _)| *name);
    let item = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(names));
    ArrayBuilder::new()
        .description(Some(described(says, &words)))
        .items(item)
        .build()
}

fn words<T: Copy>(
    all: &[T],
    name: impl Fn(T) -> &'static str,
    means: impl Fn(T) -> &'static str,
) -> Vec<Word> {
    all.iter().map(|it| (name(*it), means(*it))).collect()
}

/// `says`, then each name with its meaning.
fn described(says: &str, words: &[Word]) -> String {
    let each = words
        .iter()
        .map(|(name, means)| format!("`{name}`: {means}"));
    format!("{says} {}.", each.collect::<Vec<_>>().join("; "))
}
