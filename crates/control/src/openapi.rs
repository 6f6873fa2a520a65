//! The OpenAPI document, computed from the handlers.
//!
//! A handler says what only it knows; what follows from rules is added here: path parameters, and who may
//! call an operation from its `x-action`.

use std::collections::BTreeMap;

use domain::access::Action;
use utoipa::IntoResponses;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    Components, ContentBuilder, Deprecated, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr,
    Required,
};

use crate::api::UNVERSIONED;
use crate::error::{Code, ProblemBody};

/// The value of `x-action` for operations that anybody may call.
pub const PUBLIC: &str = "public";
/// The extension of an operation that names its [`Action`].
pub const ACTION_EXTENSION: &str = "x-action";

/// The document of the whole control plane.
pub fn openapi() -> OpenApi {
    let mut document = crate::api::routes().into_openapi(base());
    for (path, item) in &mut document.paths.paths {
        for (_, operation) in operations_mut(item) {
            add_alias(operation, path);
            add_path_parameters(operation, path);
            add_security(operation);
            add_descriptions(operation);
        }
    }
    document
}

/// The operations of a path, by method.
pub(crate) fn operations(item: &PathItem) -> impl Iterator<Item = (&'static str, &Operation)> {
    [
        ("GET", &item.get),
        ("POST", &item.post),
        ("PUT", &item.put),
        ("PATCH", &item.patch),
        ("DELETE", &item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("GET", &mut item.get),
        ("POST", &mut item.post),
        ("PUT", &mut item.put),
        ("PATCH", &mut item.patch),
        ("DELETE", &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// What `x-action` says: the action, or `None` for a public operation.
///
/// # Panics
/// When an operation names no action of the table; a test reads the whole document.
pub(crate) fn action(operation: &Operation) -> Option<Action> {
    let name = operation
        .extensions
        .as_ref()
        .and_then(|extensions| extensions.get(ACTION_EXTENSION))
        .and_then(|value| value.as_str())
        .expect("every operation has an x-action");
    if name == PUBLIC {
        return None;
    }
    let action = Action::ALL.iter().find(|action| action.as_str() == name);
    Some(*action.expect("x-action names an action of the table"))
}

fn base() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Keybearer")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The control plane of Keybearer, a self-hosted AI gateway. Refusals are problem+json with a stable `code`.",
        ))
        .build();
    let mut components = Components::new();
    let problem = <ProblemBody as utoipa::PartialSchema>::schema();
    components.schemas.insert("Problem".to_owned(), problem);
    let cookie = ApiKeyValue::with_description(
        "__Host-keybearer_session",
        "The session of a logged-in person; see create_session.",
    );
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key of a workspace: kb_..."))
        .build();
    components.add_security_scheme("api_key", SecurityScheme::Http(bearer));
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .build()
}

/// An operation that is found under a second path is the same operation under another id.
fn add_alias(operation: &mut Operation, path: &str) {
    let Some(rest) = path.strip_prefix(UNVERSIONED) else {
        return;
    };
    if rest.starts_with("/v1/") {
        return;
    }
    let id = operation.operation_id.get_or_insert_default();
    id.push_str("_unversioned");
    let says = operation.description.get_or_insert_default();
    if !says.is_empty() {
        says.push_str("\n\n");
    }
    says.push_str(&format!("The same as `{UNVERSIONED}/v1{rest}`; both stay."));
    operation.deprecated = Some(Deprecated::False);
}

fn add_path_parameters(operation: &mut Operation, path: &str) {
    for name in path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    {
        let schema = ObjectBuilder::new().schema_type(Type::String).build();
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .schema(Some(schema))
            .build();
        let parameters = operation.parameters.get_or_insert_default();
        parameters.push(RefOr::T(parameter));
    }
}

/// Every response must have a description (OpenAPI 3.1, 4.8.17); most need no words of their own.
fn add_descriptions(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            response.description = match status.as_str() {
                "201" => "Created.",
                "204" => "Done.",
                _ => "The answer.",
            }
            .to_owned();
        }
    }
}

fn add_security(operation: &mut Operation) {
    let none: [String; 0] = [];
    operation.security = Some(match action(operation) {
        None => Vec::new(),
        Some(action) => {
            let mut ways = vec![SecurityRequirement::new("session", none)];
            if let Some(scope) = action.rule().scope {
                ways.push(SecurityRequirement::new("api_key", [scope.as_str()]));
            }
            ways
        }
    });
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $($code:ident),+;)*) => {$(
        $(#[$doc])*
        pub enum $name {}

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                responses(&[$(Code::$code),+])
            }
        }
    )*};
}

refusals! {
    /// What anybody may be told.
    PublicReads = Unavailable;
    /// What anybody may be told who reads a list.
    PublicLists = InvalidRequest, Unavailable;
    /// What anybody may be told who shows a credential, and need not.
    Identifies = InvalidRequest, AmbiguousCredentials, AuthenticationRequired, Unavailable;
    /// What a caller who reads may be told.
    Reads = InvalidRequest, AmbiguousCredentials, AuthenticationRequired, PermissionDenied, NotFound, Unavailable;
    /// What somebody who listens to what happens may be told.
    Listens = InvalidRequest, AmbiguousCredentials, AuthenticationRequired, PermissionDenied, NotFound, TooManyStreams,
        Unavailable;
    /// What a caller who changes something without a body may be told.
    Changes = InvalidRequest, AmbiguousCredentials, AuthenticationRequired, PermissionDenied, CrossSiteRequest,
        NotFound, Conflict, Unavailable;
    /// What a caller who sends a body may be told.
    Writes = InvalidRequest, AmbiguousCredentials, AuthenticationRequired, PermissionDenied, CrossSiteRequest,
        NotFound, Conflict, RequestTooLarge, UnsupportedMediaType, Unavailable;
    /// What a caller who changes what may have changed meanwhile may be told.
    GuardedWrites = InvalidRequest, AmbiguousCredentials, AuthenticationRequired, PermissionDenied, CrossSiteRequest,
        NotFound, Conflict, PreconditionFailed, RequestTooLarge, UnsupportedMediaType, Unavailable;
    /// What somebody who logs in may be told.
    LogIns = InvalidRequest, InvalidCredentials, CrossSiteRequest, RequestTooLarge, UnsupportedMediaType,
        TooManyAttempts, Unavailable;
    /// What a program that begins a log-in may be told.
    DeviceStarts = InvalidRequest, CrossSiteRequest, RequestTooLarge, UnsupportedMediaType, TooManyAttempts, Unavailable;
    /// What a program that waits for its log-in may be told.
    DeviceAnswers = InvalidRequest, AuthorizationPending, SlowDown, InvalidDeviceCode, CrossSiteRequest,
        RequestTooLarge, UnsupportedMediaType, TooManyAttempts, Unavailable;
    /// What a person who looks at a program's log-in may be told.
    DeviceReads = InvalidRequest, AmbiguousCredentials, AuthenticationRequired, PermissionDenied, UnknownUserCode,
        TooManyAttempts, Unavailable;
    /// What a person who approves or refuses a program's log-in may be told.
    DeviceChanges = InvalidRequest, AmbiguousCredentials, AuthenticationRequired, PermissionDenied, CrossSiteRequest,
        UnknownUserCode, TooManyAttempts, Unavailable;
    /// What somebody who changes the password may be told.
    PasswordChanges = InvalidRequest, AmbiguousCredentials, AuthenticationRequired, InvalidCredentials,
        PermissionDenied, CrossSiteRequest, RequestTooLarge, UnsupportedMediaType, TooManyAttempts, Unavailable;
    /// What somebody who leaves may be told.
    Departures = InvalidRequest, AmbiguousCredentials, AuthenticationRequired, InvalidCredentials,
        PermissionDenied, CrossSiteRequest, NotFound, LastInstanceAdmin, RequestTooLarge, UnsupportedMediaType,
        TooManyAttempts, Unavailable;
    /// What somebody who sets the instance up may be told.
    SetUps = InvalidRequest, InvalidSetupToken, CrossSiteRequest, AlreadySetUp, RequestTooLarge,
        UnsupportedMediaType, TooManyAttempts, Unavailable;
    /// What somebody who comes with a link to the console may be told.
    LinkLogIns = InvalidRequest, InvalidConsoleLink, CrossSiteRequest, RequestTooLarge, UnsupportedMediaType,
        TooManyAttempts, Unavailable;
    /// What somebody who sets a new password with a link may be told.
    PasswordResets = InvalidRequest, InvalidPasswordLink, CrossSiteRequest, RequestTooLarge, UnsupportedMediaType,
        TooManyAttempts, Unavailable;
    /// What somebody who changes a user may be told.
    UserChanges = InvalidRequest, AmbiguousCredentials, AuthenticationRequired, PermissionDenied, CrossSiteRequest,
        NotFound, Conflict, LastInstanceAdmin, RequestTooLarge, UnsupportedMediaType, Unavailable;
    /// What somebody who accepts an invitation may be told.
    Acceptances = InvalidRequest, AmbiguousCredentials, AuthenticationRequired, InvalidInvitation, LimitExceeded,
        PermissionDenied, CrossSiteRequest, InvitationForAnother, Conflict, RequestTooLarge, UnsupportedMediaType, TooManyAttempts, Unavailable;
    /// What somebody who mints an API key may be told.
    Mints = InvalidRequest, AmbiguousCredentials, AuthenticationRequired, LimitExceeded, PermissionDenied, ScopeNotHeld,
        CrossSiteRequest, NotFound, Conflict, RequestTooLarge, UnsupportedMediaType, Unavailable;
    /// What an API key that replaces itself may be told.
    SelfRotations = AmbiguousCredentials, ApiKeyRequired, AuthenticationRequired, PermissionDenied,
        CrossSiteRequest, NotFound, Conflict, Unavailable;
    /// What somebody who changes members may be told.
    MemberChanges = InvalidRequest, AmbiguousCredentials, AuthenticationRequired, PermissionDenied,
        CrossSiteRequest, NotFound, Conflict, OwnerRole, RequestTooLarge, UnsupportedMediaType, Unavailable;
    /// What somebody who changes a provider key without its value may be told.
    KeyChanges = InvalidRequest, AmbiguousCredentials, AuthenticationRequired, PermissionDenied,
        CrossSiteRequest, NotFound, Conflict, ResubmitKey, RequestTooLarge, UnsupportedMediaType, Unavailable;
    /// What somebody who puts provider keys into order may be told.
    KeyOrders = InvalidRequest, AmbiguousCredentials, AuthenticationRequired, PermissionDenied, CrossSiteRequest,
        NotFound, Conflict, KeysChanged, RequestTooLarge, UnsupportedMediaType, Unavailable;
    /// What somebody who changes who pays, with or without a key, may be told.
    ConfigChanges = InvalidRequest, UnknownProvider, ByokNotSupported, SealedSubmissionRequired,
        AmbiguousCredentials, ModeNotOffered, AuthenticationRequired, LimitExceeded, PermissionDenied,
        CrossSiteRequest, PlanRequired, ByokDisabledForProvider, NotFound, Conflict, PreconditionFailed,
        RequestTooLarge, UnsupportedMediaType, InvalidProviderKey, ProbeFailed, TooManyAttempts, ProbeUnreachable, Unavailable;
    /// What somebody who changes the mode of new workspaces may be told.
    ModeChanges = InvalidRequest, AmbiguousCredentials, ModeNotOffered, AuthenticationRequired, PermissionDenied,
        CrossSiteRequest, NotFound, Conflict, RequestTooLarge, UnsupportedMediaType, Unavailable;
    /// What somebody who changes the policy of a workspace may be told.
    PolicyChanges = InvalidRequest, UnknownProvider, AmbiguousCredentials, ModeNotOffered, AuthenticationRequired,
        PermissionDenied, CrossSiteRequest, PlanRequired, KeyReleaseNotAllowed, NotFound, Conflict, PreconditionFailed,
        RequestTooLarge, UnsupportedMediaType, Unavailable;
    /// What somebody who has provider keys handed out may be told.
    Releases = InvalidRequest, UnknownProvider, AmbiguousCredentials, AuthenticationRequired, PermissionDenied,
        CrossSiteRequest, KeyReleaseNotAllowed, NotFound, Conflict, RequestTooLarge, UnsupportedMediaType,
        TooManyAttempts, Unavailable;
    /// What somebody who adds something that a plan limits may be told.
    Additions = InvalidRequest, AmbiguousCredentials, AuthenticationRequired, LimitExceeded, PermissionDenied,
        CrossSiteRequest, NotFound, Conflict, RequestTooLarge, UnsupportedMediaType, Unavailable;
    /// What somebody who starts a run may be told.
    RunStarts = InvalidRequest, AmbiguousCredentials, AuthenticationRequired, LimitExceeded, PermissionDenied,
        CrossSiteRequest, NotFound, Conflict, RunNotServable, RequestTooLarge, UnsupportedMediaType, Unavailable;
    /// What somebody with a link may be told.
    SharedReads = InvalidRequest, NotFound, TooManyReaders, Unavailable;
    /// What somebody who reads a document may be told.
    DocumentReads = InvalidRequest, AmbiguousCredentials, AuthenticationRequired, PermissionDenied, NotFound, RunNotDone,
        TooManyReaders, Unavailable;
    /// What an admin who submits a platform key may be told.
    PlatformSubmissions = InvalidRequest, UnknownProvider, ByokNotSupported, SealedSubmissionRequired,
        AmbiguousCredentials, AuthenticationRequired, PermissionDenied, CrossSiteRequest, CustomBaseUrlNotAllowed,
        NotFound, Conflict, StaleKek, RequestTooLarge, UnsupportedMediaType, InvalidSealedBox,
        InvalidProviderKey, InvalidBaseUrl, ProbeFailed, TooManyAttempts, ProbeUnreachable, Unavailable;
    /// What somebody who submits a provider key may be told.
    Submissions = InvalidRequest, UnknownProvider, ByokNotSupported, SealedSubmissionRequired,
        AmbiguousCredentials, AuthenticationRequired, LimitExceeded, PermissionDenied, CrossSiteRequest,
        CustomBaseUrlNotAllowed, PlanRequired, ByokDisabledForProvider,
        NotFound, Conflict, StaleKek, RequestTooLarge, UnsupportedMediaType, InvalidSealedBox,
        InvalidProviderKey, InvalidBaseUrl, ProbeFailed, TooManyAttempts, ProbeUnreachable, Unavailable;
}

/// The responses for these codes and for the two that any operation may answer with.
fn responses(codes: &[Code]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<String, String> = BTreeMap::new();
    for code in codes
        .iter()
        .chain(&[Code::MisdirectedRequest, Code::InternalError])
    {
        let text = by_status.entry(code.status().to_string()).or_default();
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(&format!("`{}`: {}", code.as_str(), code.meaning()));
    }
    let problem = |description: String| {
        let content = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("Problem")))
            .build();
        ResponseBuilder::new()
            .description(description)
            .content("application/problem+json", content)
            .build()
    };
    by_status
        .into_iter()
        .map(|(status, description)| (status, RefOr::T(problem(description))))
        .collect()
}

#[cfg(test)]
mod tests;
