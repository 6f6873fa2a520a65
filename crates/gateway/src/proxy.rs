//! The table of contents of the data plane: what happens to a request, step by step.

use bytes::Bytes;
use domain::RequestId;
use http::{HeaderMap, Request, Response};
use llm::format::FormatId;
use tokio::time::Instant;

use crate::endpoint::{Call, Endpoint, Route};
use crate::error::Failure;
use crate::headers;
use crate::pass::{self, Pass};
use crate::snapshot::{Away, View};
use crate::{Body, BoxError, Plane, admit, attempts, caller, kept, models, plan, pump, realtime};

/// Answers a request of the data plane.
pub(crate) async fn handle<B>(
    plane: &Plane,
    endpoint: Endpoint,
    request: Request<B>,
) -> Response<Body>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let format = match &endpoint.0 {
        Route::Call(call) | Route::ModelCall(call, _) | Route::Elsewhere(call) => call.format,
        Route::Models(Some(format))
        | Route::Model(_, Some(format))
        | Route::WrongMethod(_, Some(format))
        | Route::Unknown(Some(format)) => *format,
        Route::Pass(pass) => pass_format(plane, pass, &request),
        Route::Realtime => realtime::REALTIME.format,
        _ => models::format_of(request.headers()),
    };
    let Some(id) = request_id(plane, &request) else {
        return refusal(
            &Failure::Internal,
            HeaderMap::new(),
            format,
            RequestId::from_bytes([0; 16]),
        );
    };
    let mut said = HeaderMap::new();
    let in_query = caller::is_key_in_query(format.format(), request.uri().query());
    let outcome = match endpoint.0 {
        _ if in_query => Err(Failure::CredentialsInQuery),
        Route::Call(endpoint) => {
            Box::pin(call(plane, endpoint, None, id, request, &mut said)).await
        }
        Route::ModelCall(endpoint, model) => {
            Box::pin(call(plane, endpoint, Some(model), id, request, &mut said)).await
        }
        Route::Pass(pass) => Box::pin(passed(plane, &pass, id, request, &mut said)).await,
        Route::Realtime => Box::pin(realtime::open(plane, id, request, &mut said)).await,
        Route::Models(_) => {
            let list = |view: &View| models::list(plane, view, format);
            asked(plane, request.headers(), id, list).await
        }
        Route::Model(model, _) => {
            let get = |view: &View| models::get(plane, view, &model, format);
            asked(plane, request.headers(), id, get).await
        }
        Route::WrongMethod(allow, _) => Err(Failure::MethodNotAllowed(allow)),
        Route::Unknown(_) => Err(Failure::EndpointNotFound),
        Route::Elsewhere(call) => Err(Failure::EndpointElsewhere(call.path)),
    };
    outcome.unwrap_or_else(|failure| {
        let failure = match plane.config.keys_from_environment {
            true => failure.naming_variables(&plane.registry),
            false => failure,
        };
        refusal(&failure, said, format, id)
    })
}

/// One call of a model, `model` if the path names it. Each step takes what the one before made; after the second, every way out has
/// settled the call. `said` takes who was going to serve, for the headers of a failure.
async fn call<B>(
    plane: &Plane,
    endpoint: &'static Call,
    model: Option<String>,
    id: RequestId,
    request: Request<B>,
    said: &mut HeaderMap,
) -> Result<Response<Body>, Failure>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let started_at = Instant::now();
    let view = identified(plane, request.headers(), None, id).await?;
    let books = plane
        .books
        .open(&view.caller, endpoint, id, started_at, &plane.sources)?
        .counted(&plane.calls)?;
    let admitted = admit::admit(plane, view, endpoint, model, books, request).await?;
    let admitted = match admitted.head.named.is_empty() {
        // Most calls name nothing, and go through no future for that.
        true => admitted,
        false => Box::pin(kept::continued(plane, admitted, None)).await?,
    };
    let planned = plan::plan(plane, admitted, said)?;
    let answered = attempts::serve(plane, planned, said).await?;
    Ok(pump::pump(plane, answered))
}

/// One request for a path of a provider, by the same steps as a call of a model.
async fn passed<B>(
    plane: &Plane,
    pass: &Pass,
    id: RequestId,
    request: Request<B>,
    said: &mut HeaderMap,
) -> Result<Response<Body>, Failure>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let started_at = Instant::now();
    let view = identified(plane, request.headers(), None, id).await?;
    let maker = kept::by_path(plane, &view, pass).await;
    let known = maker.as_ref().ok().and_then(Option::as_ref);
    let provider = pass.provider(plane, request.headers(), known);
    let call = match &provider {
        Ok(provider) => pass.call(provider, request.method()),
        Err(_) => pass::nothing_known(models::format_of(request.headers())),
    };
    let books = plane
        .books
        .open(&view.caller, call, id, started_at, &plane.sources)?
        .counted(&plane.calls)?;
    let admitted = admit::admit(plane, view, call, None, books, request).await?;
    let admitted = kept::passed(plane, admitted, pass, maker).await?;
    let planned = plan::pass(plane, admitted, pass, provider, said)?;
    let answered = attempts::serve(plane, planned, said).await?;
    Ok(pump::pump(plane, answered))
}

/// The format of the provider that is meant, or the client's guess.
fn pass_format<B>(plane: &Plane, pass: &Pass, request: &Request<B>) -> FormatId {
    let provider = pass.provider(plane, request.headers(), None);
    let call = provider.map(|it| pass.call(it, request.method()));
    call.map_or_else(|_| models::format_of(request.headers()), |call| call.format)
}

/// A question that calls no model and leaves no usage behind.
async fn asked(
    plane: &Plane,
    headers: &HeaderMap,
    id: RequestId,
    answer: impl FnOnce(&View) -> Result<Response<Body>, Failure>,
) -> Result<Response<Body>, Failure> {
    let view = identified(plane, headers, None, id).await?;
    let mut response = answer(&view)?;
    headers::ours(response.headers_mut(), id);
    Ok(response)
}

/// Who calls. `key`: an API key beside those in the usual headers.
pub(crate) async fn identified(
    plane: &Plane,
    headers: &HeaderMap,
    key: Option<&str>,
    id: RequestId,
) -> Result<View, Failure> {
    let identified = async {
        let caller = caller::identify(plane, headers, key).await?;
        let instance = plane.snapshot.instance().await;
        let instance = instance.map_err(|Away| Failure::StoreUnavailable)?;
        Ok(View { caller, instance })
    };
    let identified: Result<View, Failure> = identified.await;
    if let Err(failure) = &identified {
        let status = failure.status().as_u16();
        tracing::info!(request.id = %id, status, error.code = failure.code(), "refused {id} with status {status}");
    }
    identified
}

/// The id that the edge gave to the request, or a new one.
fn request_id<B>(plane: &Plane, request: &Request<B>) -> Option<RequestId> {
    match request.extensions().get::<RequestId>() {
        Some(id) => Some(*id),
        None => plane.sources.id().ok(),
    }
}

fn refusal(failure: &Failure, said: HeaderMap, format: FormatId, id: RequestId) -> Response<Body> {
    let mut response = failure.response(format.format(), id);
    response.headers_mut().extend(said);
    response
}
