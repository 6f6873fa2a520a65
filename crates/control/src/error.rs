//! The one way in which the control plane says no: `application/problem+json` with a stable `code`.
//!
//! [`Code`] is the static list behind `docs/errors.md`. A handler returns a [`Problem`]; the frame
//! (`frame.rs`) writes its body, because only the frame knows the request's id.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use axum::response::{IntoResponse, Response};
use domain::RandomError;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use store::{Denied, StoreError};
use utoipa::ToSchema;

macro_rules! codes {
    ($($name:ident = $status:literal $text:literal, $meaning:literal, $advice:literal;)*) => {
        /// A stable name of a refusal. Clients branch on it; it never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {$(
            #[doc = $meaning]
            $name,
        )*}

        impl Code {
            /// All codes, by status.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {$(Self::$name => $text),*}
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> u16 {
                match self {$(Self::$name => $status),*}
            }

            /// What it means; one sentence.
            pub const fn meaning(self) -> &'static str {
                match self {$(Self::$name => $meaning),*}
            }

            /// What the caller can do about it; one sentence.
            pub const fn advice(self) -> &'static str {
                match self {$(Self::$name => $advice),*}
            }
        }
    };
}

codes! {
    InvalidRequest = 400 "invalid_request", "The request does not have the documented form.", "Compare the request with GET /openapi.json; programs find the first field that does not fit in `details.field`.";
    UnknownProvider = 400 "unknown_provider", "No provider of this instance has this id.", "Use an id of GET /v1/providers exactly as listed; programs find the nearest one in `details.suggestion`.";
    ByokNotSupported = 400 "byok_not_supported", "The provider takes no keys of its users here.", "Choose a provider of GET /v1/providers that is `active` and whose `payment_modes` include `byok`.";
    SealedSubmissionRequired = 400 "sealed_submission_required", "A provider key is accepted here only inside a sealed box.", "Seal the key to the public key of GET /v1/byok/encryption-pubkey, with its context where a base URL is given, or submit over loopback or TLS.";
    AmbiguousCredentials = 400 "ambiguous_credentials", "The request carries more than one credential.", "Send one session cookie or one API key.";
    ApiKeyRequired = 400 "api_key_required", "Only an API key can do this, for itself.", "Send the API key as `Authorization: Bearer kb_...`.";
    ModeNotOffered = 400 "mode_not_offered", "The instance does not offer this mode.", "Use a mode of `details.allowed`.";
    AuthorizationPending = 400 "authorization_pending", "Nobody has approved this log-in yet.", "Ask again after the time in `Retry-After`.";
    SlowDown = 400 "slow_down", "Nobody has approved this log-in yet, and the program asks too often.", "Ask again after the time in `Retry-After`, which is 5 seconds longer than before, and no sooner from now on.";
    AuthenticationRequired = 401 "authentication_required", "There is no valid credential on the request.", "Log in, or send an API key that is neither revoked nor expired.";
    InvalidCredentials = 401 "invalid_credentials", "E-mail and password do not belong together.", "Check both and try again.";
    InvalidSetupToken = 401 "invalid_setup_token", "This is not the set-up credential of this start.", "Use the newest link that the server printed; each start prints a new one.";
    InvalidInvitation = 401 "invalid_invitation", "The invitation was used, revoked, has expired or was never made.", "Ask for a new one.";
    InvalidDeviceCode = 401 "invalid_device_code", "The log-in was refused, used, has expired or was never begun.", "Begin another one.";
    InvalidConsoleLink = 401 "invalid_console_link", "The link was used, is older than five minutes, was replaced by a newer one or was never made.", "On the machine of a local instance, `keybearer console` makes another; elsewhere log in.";
    InvalidPasswordLink = 401 "invalid_password_link", "The link was used, replaced or made void, is older than an hour or was never made.", "Ask an admin of the instance for another; on the server's machine `keybearer password-link` makes one.";
    LimitExceeded = 402 "limit_exceeded", "The account's plan allows no more of this.", "Remove one, or ask an admin of the instance for a higher plan; programs find the limit in `details`.";
    PermissionDenied = 403 "permission_denied", "The caller's role or scope does not allow this.", "Ask an admin or the owner for what it takes, or use a credential that has it; programs find it in `details.needs`.";
    ScopeNotHeld = 403 "scope_not_held", "An API key cannot be given a scope that its maker does not hold.", "Leave them out, or let somebody make the key who holds them; programs find them in `details.scopes`.";
    CrossSiteRequest = 403 "cross_site_request", "A page of another site sent this request.", "Send it from the same origin or from a program that is not a browser.";
    CustomBaseUrlNotAllowed = 403 "custom_base_url_not_allowed", "This instance does not let keys have their own base URL.", "Leave out the base URL, or ask the operator to set `custom_base_urls`.";
    InvitationForAnother = 403 "invitation_for_another", "The invitation is for another e-mail.", "Log in as the invited person, or log out and accept as a new one.";
    PlanRequired = 403 "plan_required", "The account's plan does not have this.", "Ask an admin of the instance for one of the plans in `details.plans`.";
    ByokDisabledForProvider = 403 "byok_disabled_for_provider", "Own keys for the provider are switched off on this instance.", "Use another provider, or ask an admin of the instance to switch them on.";
    KeyReleaseNotAllowed = 403 "key_release_not_allowed", "Provider keys are not handed out here.", "Run the program without `--inject raw`; or let an instance admin set `release_keys_allowed` and then an admin of the workspace `release_keys`.";
    NotFound = 404 "not_found", "There is nothing here that the caller may know of.", "Check the path and the ids in it.";
    UnknownUserCode = 404 "unknown_user_code", "No program waits with this code.", "Compare it with what the program shows; a code is good for ten minutes and once.";
    MethodNotAllowed = 405 "method_not_allowed", "The path exists, but not with this method.", "The `Allow` header lists the methods.";
    Conflict = 409 "conflict", "Somebody changed the same thing, or it already exists.", "Read the current state and try again.";
    LastInstanceAdmin = 409 "last_instance_admin", "The instance would have no admin any more.", "Make somebody else an admin of the instance first.";
    AlreadySetUp = 409 "already_set_up", "The instance has its first user.", "Log in.";
    StaleKek = 409 "stale_kek", "The box is sealed to a key that is not the current one.", "Fetch GET /v1/byok/encryption-pubkey again and seal to the key in `details.kek_id`.";
    ResubmitKey = 409 "resubmit_key", "Where a key is sent can only change together with the key.", "Submit the provider key again with the new provider or base URL.";
    KeysChanged = 409 "keys_changed", "The keys for the provider are others than those of the list.", "Read the list of keys again, put all of them into order and send that.";
    OwnerRole = 409 "owner_role", "A workspace has exactly one owner, who cannot be removed, demoted or leave.", "Nothing; the owner alone can delete the workspace.";
    RunNotDone = 409 "run_not_done", "The run has not succeeded, so it has no document.", "Follow the run until it has; a run that failed can be tried again.";
    RunNotServable = 409 "run_not_servable", "As things are, nothing would serve a step of the run.", "Programs find the step in `details.output_type` and in `details.code` why, by the code that a call would get.";
    PreconditionFailed = 412 "precondition_failed", "The thing is not any more as `If-Match` says.", "Read it again, and send the change that still fits with its new `ETag`.";
    RequestTooLarge = 413 "request_too_large", "The body is larger than 256 KiB.", "Send less.";
    UnsupportedMediaType = 415 "unsupported_media_type", "The body is not declared as JSON.", "Send `Content-Type: application/json` and no `Content-Encoding`.";
    MisdirectedRequest = 421 "misdirected_request", "This listener does not answer to the name in `Host`.", "Use the address that the server printed at its start.";
    InvalidSealedBox = 422 "invalid_sealed_box", "The sealed box cannot be accepted.", "Seal again, for this workspace or account, to the current key, and submit each box once.";
    InvalidProviderKey = 422 "invalid_provider_key", "The provider key does not have the form of one.", "Copy the key again, without blanks, quotes or line breaks around it.";
    InvalidBaseUrl = 422 "invalid_base_url", "The base URL is not one that a key may be sent to.", "Give an https URL of a public host, without user, query or fragment.";
    ProbeFailed = 422 "probe_failed", "The provider did not accept the key; nothing was stored.", "Check the key, its permissions and its quota at the provider; programs find the reason in `details.reason`.";
    TooManyAttempts = 429 "too_many_attempts", "There were too many failed attempts.", "Wait for the time in `Retry-After`.";
    TooManyStreams = 429 "too_many_streams", "So many streams of events are open that no other can be opened.", "Close one, or wait for the time in `Retry-After`.";
    TooManyReaders = 429 "too_many_readers", "So many documents are read at the moment that no other can be.", "Wait for the time in `Retry-After`.";
    InternalError = 500 "internal_error", "The server failed at this request.", "Report the `request_id` to the operator.";
    ProbeUnreachable = 503 "probe_unreachable", "The provider could not be asked about the key; nothing was stored.", "Try again later; a sealed box is taken once, so seal the key again.";
    Unavailable = 503 "unavailable", "A part that the server needs does not answer.", "Try again later.";
}

/// A refusal on its way to the client.
#[derive(Debug, Clone)]
pub struct Problem {
    pub(crate) code: Code,
    detail: Option<Cow<'static, str>>,
    /// What the caller can do in this case, where that is more than the advice of the code; empty where the
    /// detail says it all.
    hint: Option<Cow<'static, str>>,
    details: Map<String, Value>,
    /// Seconds for the `Retry-After` header.
    pub(crate) retry_after_s: Option<u64>,
    /// For the log, never for the client.
    pub(crate) cause: Option<String>,
}

impl Problem {
    /// A refusal that says no more than its code.
    pub fn new(code: Code) -> Self {
        Self {
            code,
            detail: None,
            hint: None,
            details: Map::new(),
            retry_after_s: None,
            cause: None,
        }
    }

    /// A request whose field `field` breaks `rule`. Neither may show a value that the client sent.
    pub fn field(field: &'static str, rule: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidRequest)
            .with("field", field)
            .because(rule)
            .advise("")
    }

    /// A caller who may not do this; `needs` says what it takes.
    pub fn denied(needs: impl Into<String>) -> Self {
        let needs = needs.into();
        Self::new(Code::PermissionDenied)
            .because(format!("this takes {needs}"))
            .with("needs", needs)
    }

    /// A failure of ours; `cause` goes to the log.
    pub fn internal(cause: &dyn std::error::Error) -> Self {
        Self::new(Code::InternalError).caused_by(cause)
    }

    /// Says what happened in this case. Must not show a value that the client sent.
    #[must_use]
    pub fn because(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says what the caller can do in this case, in place of the advice of the code; empty where the detail
    /// says it all. Must not show a value that the client sent.
    #[must_use]
    pub fn advise(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a value for programs.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// Asks the client to wait.
    #[must_use]
    pub fn retry_after_s(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Keeps the cause and its causes for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: &dyn std::error::Error) -> Self {
        let mut text = cause.to_string();
        let mut next = cause.source();
        while let Some(inner) = next {
            let _ = write!(text, ": {inner}");
            next = inner.source();
        }
        self.cause = Some(text);
        self
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What happened, for people; as safe as the code.
    pub fn text(&self) -> &str {
        self.detail.as_deref().unwrap_or(self.code.meaning())
    }

    /// The body, for the request with this id.
    pub(crate) fn body(&self, request_id: &str) -> ProblemBody {
        ProblemBody {
            kind: format!("urn:keybearer:error:{}", self.code.as_str()),
            title: self.code.meaning().to_owned(),
            status: self.code.status(),
            code: self.code.as_str().to_owned(),
            detail: self
                .detail
                .as_deref()
                .unwrap_or(self.code.meaning())
                .to_owned(),
            hint: match self.hint.as_deref() {
                None => Some(self.code.advice().to_owned()),
                Some("") => None,
                Some(hint) => Some(hint.to_owned()),
            },
            request_id: request_id.to_owned(),
            details: self.details.clone(),
        }
    }
}

impl fmt::Display for Problem {
    /// For operators: what happened and its cause.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = self.detail.as_deref().unwrap_or(self.code.meaning());
        f.write_str(detail.trim_end_matches('.'))?;
        match &self.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// The body of every refusal (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// A URI that names the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:keybearer:error:not_found")]
    pub kind: String,
    /// What the code means.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable name of the refusal.
    #[schema(example = "not_found")]
    pub code: String,
    /// What happened in this case.
    pub detail: String,
    /// What the caller can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The id of the request, also in the log and the audit rows.
    #[schema(example = "req_06evr40e1m73fwp2hw6n0xq8kc")]
    pub request_id: String,
    /// Values for programs; their names depend on the code.
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status())
            .expect("the table of codes has only HTTP statuses");
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::new(Code::NotFound),
            StoreError::Conflict(what) => Self::new(Code::Conflict).because(what),
            StoreError::LastAdmin => Self::new(Code::LastInstanceAdmin),
            // A box that was submitted before is refused exactly as one that does not open.
            StoreError::Replayed => Self::new(Code::InvalidSealedBox),
            StoreError::PlanRequired { .. } => Self::new(Code::PlanRequired),
            StoreError::LimitExceeded {
                resource,
                limit,
                used,
            } => crate::ops::plan_gate::exceeded(resource, limit, used),
            StoreError::InvalidCursor => {
                Self::field("after", "after must be the `next` of an earlier answer")
            }
            StoreError::Unavailable(_) => Self::new(Code::Unavailable).caused_by(&error),
            StoreError::Corrupt(_) => Self::internal(&error),
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NotFound => Self::new(Code::NotFound),
            Denied::Forbidden { needs } => Self::denied(needs),
            Denied::Store(error) => error.into(),
        }
    }
}

impl From<RandomError> for Problem {
    fn from(error: RandomError) -> Self {
        Self::new(Code::Unavailable).caused_by(&error)
    }
}

/// The reference of all codes as a Markdown page (`docs/errors.md`).
pub fn error_reference() -> String {
    let mut page = String::from(
        "# Errors of the control plane\n\n\
         Every refusal is `application/problem+json` with the fields `type`, `title`, `status`, `code`, `detail`,\n\
         `hint`, `request_id` and `details`. Branch on `code`; it is stable. This page is generated.\n\n\
         | status | code | meaning | what to do |\n| --- | --- | --- | --- |\n",
    );
    for code in Code::ALL {
        let _ = writeln!(
            page,
            "| {} | `{}` | {} | {} |",
            code.status(),
            code.as_str(),
            code.meaning(),
            code.advice()
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_sorted_by_status() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert!(Code::ALL.is_sorted_by_key(|code| code.status()));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
        assert_eq!(error_reference().lines().count(), Code::ALL.len() + 7);
    }

    #[test]
    fn a_hint_is_the_advice_of_the_code_unless_the_case_has_a_better_one() {
        let hint = |problem: Problem| problem.body("req").hint;
        let advice = Code::Conflict.advice().to_owned();
        assert_eq!(hint(Problem::new(Code::Conflict)), Some(advice));
        let own = Problem::new(Code::Conflict).advise("Log in.");
        assert_eq!(hint(own), Some("Log in.".to_owned()));
        assert_eq!(hint(Problem::field("limit", "limit is a number")), None);
    }

    #[test]
    fn a_foreign_and_a_missing_thing_have_the_same_body() {
        let foreign = Problem::from(Denied::NotFound).body("req");
        let missing = Problem::from(StoreError::NotFound).body("req");
        assert_eq!(
            serde_json::to_string(&foreign).expect("serializes"),
            serde_json::to_string(&missing).expect("serializes")
        );
    }
}
