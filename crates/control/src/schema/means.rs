//! What the names of closed sets mean, in a few words each. A new name without a meaning does not compile.

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

use crate::api::key_view::KeyState;
use crate::ops::ai_config;
use crate::ops::offered_modes::Obstacle;
use crate::ops::release::Withheld;
use crate::ops::resolution::Then;

macro_rules! meanings {
    ($($name:ident($kind:ty) { $($variant:ident = $text:literal,)+ })*) => {$(
        pub(super) fn $name(it: $kind) -> &'static str {
            match it {$(<$kind>::$variant => $text),+}
        }
    )*};
}

meanings! {
    role(Role) {
        Member = "calls models and sees what the workspace has",
        Admin = "manages members, keys and the policy too",
        Owner = "the one person whose account the workspace belongs to",
    }
    scope(ApiScope) {
        InferenceInvoke = "call models",
        WorkspaceRead = "read workspaces",
        WorkspaceWrite = "change workspaces",
        MembersRead = "read members and invitations",
        MembersWrite = "change members and invitations",
        KeysRead = "list API keys",
        KeysWrite = "mint and revoke API keys",
        ByokRead = "list provider keys",
        ByokWrite = "add, change and remove provider keys",
        ServicesRead = "read scripts and services",
        ServicesWrite = "write them: code that runs on every machine that starts the workspace",
        KeysRelease = "have provider keys handed out, sealed, where that is allowed",
        PolicyRead = "read who pays and which models stand behind names",
        PolicyWrite = "change that",
        RunsRead = "read generation runs and their documents",
        RunsWrite = "start, stop, share and delete generation runs",
        BillingRead = "read credits, the ledger and limits",
        UsageRead = "read usage",
        AuditRead = "read the audit log",
        InstanceRead = "read settings, plans and accounts of the instance; for instance admins",
        InstanceWrite = "change them; for instance admins",
    }
    run_on(RunOn) {
        FirstBoot = "once on each machine, at the first start at which it is there",
        EveryStart = "at every start",
    }
    restart(Restart) {
        Always = "started again",
        OnFailure = "started again unless the exit code was 0",
        No = "stays ended",
    }
    run_status(RunStatus) {
        Pending = "it waits for a worker",
        Running = "its steps are made",
        Succeeded = "every step succeeded; there is a document",
        Failed = "a step failed",
        Cancelled = "somebody stopped it",
    }
    step_status(StepStatus) {
        Pending = "it has not begun",
        Running = "it was begun",
        Succeeded = "its result is kept",
        Failed = "it failed, and the run with it",
    }
    output(OutputType) {
        Script = "a text in Markdown, by the run's model",
        Image = "pictures, by the instance's image models, paid by credits",
    }
    visibility(Visibility) {
        Private = "nobody",
        Workspace = "every member of the workspace",
        Link = "every member, and whoever has the link",
    }
    failure(FailureKind) {
        InvalidKey = "the provider does not know the key (401)",
        NoPermission = "the key lacks a permission (403)",
        NoQuota = "its quota or balance is used up (402, 429)",
        RateLimited = "too many requests (429)",
        ProviderError = "the provider failed (5xx)",
        Unreachable = "no connection, or no answer in time",
    }
    obstacle(Obstacle) {
        Instance = "the instance does not offer the mode",
        Plan = "only own keys may serve in the mode, and the account's plan lets none",
    }
    mode(Mode) {
        Managed = "the instance's keys serve and credits pay; own keys are not looked at",
        Byok = "own keys serve and their providers bill the owners; without one a call is refused",
        Auto = "own keys serve; where there is none, the instance's keys serve and credits pay",
    }
    status(ai_config::Status) {
        ManagedActive = "credits pay, whether or not there are any",
        ByokActive = "an own key serves",
        InvalidMissingKey = "calls are refused: an own key would have to serve and none can, or a guardrail, a switch or \
                             a mode that is not offered stands in the way",
    }
    byok_rule(ByokRule) {
        Optional = "as the mode says",
        Required = "credits never pay; in the mode `managed` every call is refused",
        Forbidden = "own keys never serve; in the mode `byok` every call is refused",
    }
    tier(Tier) {
        Level1 = "the everyday model, which also serves when nobody chose",
        Level2 = "a better one",
        Level3 = "the best one",
        Embeddings = "the model for embeddings",
    }
    ranking(Ranking) {
        Cost = "the cheapest first, one whose price is not known last",
        Latency = "the one with the quickest first byte first, after those that were not measured lately",
        Throughput = "the one with the most output tokens in a second first, after those that were not measured lately",
        Balanced = "the best of the three together first",
    }
    effort(Effort) {
        Low = "a little",
        Medium = "some",
        High = "a lot",
    }
    level(ChosenBy) {
        Request = "the request itself",
        Conversation = "the conversation, by its header",
        ApiKey = "the API key, by its `default_model`",
        Workspace = "the workspace, by its policy",
        Instance = "the instance, by its settings",
    }
    source(KeySource) {
        Byok = "an own key serves, and its provider bills its owner",
        Managed = "a key of the instance serves, and credits pay",
    }
    verdict(Verdict) {
        Applies = "it is the one that counts",
        Serves = "the key may serve, in the order of the targets",
        ServesLast = "the key may serve after everything else failed",
        Disabled = "the owner of the key disabled it",
        Dormant = "the account's plan lets no own key serve",
        Rests = "own keys are switched off for the provider of the key",
        Removed = "there was a key, and it was removed",
        NotKnown = "no provider that is switched on has the model",
        NotOffered = "the instance does not offer it",
        SwitchedOff = "the provider or this model of it is switched off",
        ByokSwitchedOff = "own keys are switched off for the provider",
        ByokRequired = "only own keys may serve",
        ByokForbidden = "no own key may serve",
        Consents = "credits may step in after own keys failed",
        NoConsent = "credits may not step in",
        NotAllowed = "the instance does not let credits step in",
        NoPlatformKey = "the instance has no key for any provider of the model",
    }
    key_state(KeyState) {
        Active = "it may serve",
        Disabled = "its owner disabled it",
        Dormant = "the account's plan lets no own key serve",
        Resting = "an admin of the instance switched the provider, or own keys for it, off",
    }
    withheld(Withheld) {
        CustomBaseUrl = "it is bound to a base URL of its own, and a program would send it to the provider's",
        NoVariable = "the provider's file names no variable",
    }
    then(Then) {
        OtherOwnKey = "another own key serves",
        ManagedCredits = "the instance's keys serve, and credits pay",
        Refused402 = "they are refused for want of an own key, of a platform key or of credits",
        Refused = "they are refused for another reason, such as a guardrail or a provider that is switched off",
    }
    entry(EntryKind) {
        Grant = "a card came",
        Charge = "a call was charged",
        Expiry = "a card lapsed with something left",
        Forgiveness = "a part of a charge that no card covered was written off",
        Refund = "a card came that gives back what was charged",
    }
    card(CardKind) {
        Included = "the plan's monthly credits; they lapse when the next ones come",
        Grant = "given by an admin of the instance",
        TopUp = "bought",
        Refund = "given back for calls that were charged",
    }
    pricing(Pricing) {
        Priced = "a known price times the usage that the provider reported",
        Estimated = "a known price times tokens that were counted here, because the provider did not report them, or the standard price of a call that another tier of service served",
        Unpriced = "the price of the model, or of another that worked in the call, is not known, and the cost is that of the rest",
    }
    provider_status(Status) {
        Active = "in service",
        Staging = "being prepared",
        Suspended = "out of service for now",
        Withdrawn = "gone for good",
    }
    provider_kind(Kind) {
        FirstParty = "makes the models that it serves",
        Cloud = "a cloud that serves others' models",
        ThirdParty = "serves open models",
        Gateway = "passes requests on to other providers",
        Search = "searches the web; serves no models",
    }
    payment(PaymentMode) {
        Byok = "with an own key",
        Managed = "with a key of the instance and credits",
    }
    token_limit(TokenLimit) {
        MaxTokens = "what most providers take",
        MaxCompletionTokens = "what newer models of some take in its place",
    }
    format(FormatId) {
        OpenaiChat = "OpenAI's chat completions",
        OpenaiResponses = "OpenAI's responses",
        OpenaiEmbeddings = "OpenAI's embeddings",
        OpenaiModerations = "OpenAI's moderations",
        OpenaiImages = "OpenAI's images",
        OpenaiSpeech = "OpenAI's speech",
        OpenaiTranscriptions = "OpenAI's transcriptions",
        OpenaiRealtime = "OpenAI's realtime sessions",
        Rerank = "reranking, as by Cohere and Jina",
        AnthropicMessages = "Anthropic's messages",
        GeminiGenerateContent = "Gemini's content, its token counts too",
        GeminiEmbeddings = "Gemini's embeddings",
    }
    on_byok_disabled(OnByokDisabled) {
        FollowMode = "as the mode says: `auto` goes to the instance's key, `byok` is refused",
        Managed = "they go to the instance's key and credits pay, in the mode `byok` too",
        Refuse = "they are refused, in the mode `auto` too",
    }
    on_key_removed(OnKeyRemoved) {
        FollowMode = "as the mode says: `auto` goes to the instance's key, `byok` is refused",
        Managed = "they go to the instance's key and credits pay, in the mode `byok` too",
        Refuse = "they are refused, in the mode `auto` too",
    }
    metering(ByokMetering) {
        Shadow = "tokens, and what they cost at list price; nothing is charged",
        None = "tokens only",
    }
    submission(Submission) {
        SealedOnly = "in sealed boxes only",
        Both = "in sealed boxes, or in plain text over loopback or TLS",
    }
    mask(MaskStyle) {
        First4Last4 = "the first four and the last four characters",
        Prefix = "the first four characters",
        None = "nothing",
    }
    audit(AuditDetail) {
        Standard = "who acted, what on, and the sealing key",
        Minimal = "neither who acted nor the sealing key",
    }
    overuse(Overuse) {
        Block = "a call needs its whole hold beforehand, and what exceeds the balance after all is owed",
        Debt = "a call needs any credit at all; what exceeds the balance is owed, and the next card repays it",
        Forgive = "a call needs any credit at all; what exceeds the balance is written off",
    }
    unpriced(Unpriced) {
        Block = "they are refused",
        CountTokens = "they are served, tokens are counted, and they cost nothing",
    }
}
