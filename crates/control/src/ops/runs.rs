//! Generation runs: made here, worked on in `runs/work.rs`, read as documents (`runs/document.rs`).

pub(crate) mod document;
mod make;
pub(crate) mod reading;
mod script;
mod servable;
mod steps;
pub(crate) mod work;

use domain::access::{ApiScope, Role};
use domain::credential::{CredentialKind, SHOWN_PREFIX_CHARS, is_well_formed, write};
use domain::run::{MAX_IMAGES, MAX_PROMPT_CHARS, OutputType, RunPlan, Visibility};
use domain::{ApiKeyId, NanoUsd, RunId, Secret};
use store::{NewApiKey, NewRun, RunRow, WorkspaceScope};
use vault::HashPurpose;

use crate::error::{Code, Problem};
use crate::frame::Call;
use crate::ops::resolution::{self, Asked, Facts};
use crate::state::ControlState;

pub use servable::Lack;

/// What a client wants of a new run.
pub struct Wanted {
    /// What is to be made.
    pub prompt: String,
    /// The model of the script; none: the caller's default.
    pub model: Option<String>,
    /// What it makes.
    pub outputs: Vec<OutputType>,
    /// How many pictures.
    pub images: Option<usize>,
    /// Who may read it.
    pub visibility: Visibility,
}

/// The name of the API key that stands for a person's log-in.
const CALLER_NAME: &str = "Studio";

/// Makes a run that waits for a worker. With the visibility `link` the link's credential comes with it, this once.
///
/// # Errors
/// `invalid_request`; `permission_denied` for an API key that may not call models; `run_not_servable` where no key
/// would serve a step as things are; `conflict` where the workspace has too many runs.
pub async fn create(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
    wanted: Wanted,
) -> Result<(RunRow, Option<Secret>), Problem> {
    let prompt = prompt(&wanted.prompt)?;
    let images = images(&wanted)?;
    may_call(scope)?;
    let asked = Asked {
        model: wanted.model,
        models: Vec::new(),
        conversation_model: None,
        api_key: None,
        no_managed: false,
    };
    let explained = resolution::explain(state, scope, asked).await?;
    let payer = state.store.within(scope).payer(call.now).await?;
    let pinned = match wanted.outputs.contains(&OutputType::Script) {
        true => Some(servable::pin(state, &explained, payer.has_credits)?),
        false => None,
    };
    if images > 0 {
        servable::pictures(&explained.facts, payer.has_credits)?;
    }
    let api_key = caller(state, call, scope).await?;
    let (link, link_hash) = link(state, wanted.visibility)?;
    let new = NewRun {
        id: state.sources.id()?,
        api_key,
        visibility: wanted.visibility,
        link_hash,
        prompt,
        plan: RunPlan::new(pinned, images),
    };
    let note = call.note_on("run.create", new.id);
    let within = state.store.within(scope);
    let row = within.create_run(new, &note, call.now).await?;
    state.runs.notify_one();
    Ok((row, link))
}

/// A model that would make a picture now.
pub struct Painter {
    /// The id of the provider.
    pub provider: domain::ProviderId,
    /// The provider's own name of the model.
    pub model: String,
    /// What a picture takes in credits.
    pub charge: NanoUsd,
}

/// What would make the pictures of a run that is made now, or why nothing would.
///
/// # Errors
/// `unavailable`.
pub async fn pictures(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
) -> Result<Result<Vec<Painter>, Lack>, Problem> {
    let facts = Facts::gather(state, scope).await?;
    let payer = state.store.within(scope).payer(call.now).await?;
    let models = servable::pictures(&facts, payer.has_credits);
    let painter = |model: &domain::settings::ImageModel| Painter {
        provider: model.provider.clone(),
        model: model.model.to_string(),
        charge: servable::charge(facts.settings(), model, payer.rate),
    };
    Ok(models.map(|models| models.into_iter().map(painter).collect()))
}

/// Stops a run: its maker may, and admins who see it.
///
/// # Errors
/// `not_found`, `permission_denied`; `conflict` when it has ended.
pub async fn cancel(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
    id: RunId,
) -> Result<RunRow, Problem> {
    let within = state.store.within(scope);
    may_end(scope, &within.run(id).await?)?;
    let note = call.note_on("run.cancel", id);
    within.cancel_run(id, &note, call.now).await?;
    Ok(within.run(id).await?)
}

/// Lets a run that failed or was cancelled go on where it stopped: its maker may, with an API key one that may call
/// models.
///
/// # Errors
/// `not_found`, `permission_denied`; `conflict` when it did neither.
pub async fn retry(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
    id: RunId,
) -> Result<RunRow, Problem> {
    let within = state.store.within(scope);
    let row = within.run(id).await?;
    is_maker(scope, &row)?;
    // The steps are paid for again, as the run's own API key.
    may_call(scope)?;
    let note = call.note_on("run.retry", id);
    let row = within.retry_run(row, &note, call.now).await?;
    state.runs.notify_one();
    Ok(row)
}

/// Whoever has models called must be one who may.
fn may_call(scope: &WorkspaceScope) -> Result<(), Problem> {
    if scope.api_key().is_some() && !scope.grantable().contains(&ApiScope::InferenceInvoke) {
        return Err(Problem::denied("the scope inference:invoke"));
    }
    Ok(())
}

/// Changes who may read a run: its maker may. A link that was given out before ends.
///
/// # Errors
/// `not_found`, `permission_denied`.
pub async fn share(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
    id: RunId,
    visibility: Visibility,
) -> Result<(RunRow, Option<Secret>), Problem> {
    let within = state.store.within(scope);
    is_maker(scope, &within.run(id).await?)?;
    let (link, hash) = link(state, visibility)?;
    let note = call.note_on("run.share", id);
    within
        .share_run(id, visibility, hash.as_ref(), &note, call.now)
        .await?;
    Ok((within.run(id).await?, link))
}

/// Removes a run with everything in it: its maker may, and admins who see it.
///
/// # Errors
/// `not_found`, `permission_denied`.
pub async fn delete(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
    id: RunId,
) -> Result<(), Problem> {
    let within = state.store.within(scope);
    may_end(scope, &within.run(id).await?)?;
    let note = call.note_on("run.delete", id);
    Ok(within.delete_run(id, &note, call.now).await?)
}

/// The run that somebody has a link to, and the keyed hash of the link.
///
/// # Errors
/// `not_found`, the same for a link that never was, one that has ended and a run that is not done.
pub async fn shared(state: &ControlState, link: &str) -> Result<(RunRow, [u8; 32]), Problem> {
    if !is_well_formed(CredentialKind::RunLink, link) {
        return Err(Problem::new(Code::NotFound));
    }
    let hash = state.hasher.hash(HashPurpose::RunLink, link.as_bytes());
    let row = state.store.system().shared_run(&hash).await?;
    let row = row.ok_or_else(|| Problem::new(Code::NotFound))?;
    Ok((row, hash))
}

fn prompt(text: &str) -> Result<String, Problem> {
    let prompt = text.trim();
    let fits = (1..=MAX_PROMPT_CHARS).contains(&prompt.chars().count());
    let bare = |char: char| char.is_control() && !matches!(char, '\n' | '\r' | '\t');
    if fits && !prompt.contains(bare) {
        return Ok(prompt.to_owned());
    }
    Err(Problem::field(
        "prompt",
        format!(
            "prompt must have 1 to {MAX_PROMPT_CHARS} characters, and no control characters but line breaks and tabs"
        ),
    ))
}

/// How many pictures are wanted.
fn images(wanted: &Wanted) -> Result<usize, Problem> {
    let outputs = &wanted.outputs;
    let repeated = (1..outputs.len()).any(|at| outputs[..at].contains(&outputs[at]));
    if outputs.is_empty() || repeated {
        let rule = "output_types must name script, image or both, and none twice";
        return Err(Problem::field("output_types", rule));
    }
    match (outputs.contains(&OutputType::Image), wanted.images) {
        (true, None) => Ok(1),
        (true, Some(count)) if (1..=MAX_IMAGES).contains(&count) => Ok(count),
        (false, None) => Ok(0),
        (true, Some(_)) => Err(Problem::field(
            "image_count",
            format!("image_count must be a number from 1 to {MAX_IMAGES}"),
        )),
        (false, Some(_)) => Err(Problem::field(
            "image_count",
            "image_count goes with the output type image only",
        )),
    }
}

/// The API key that the run's calls are made for: the one that asks, or the one that stands for the person's log-in.
async fn caller(
    state: &ControlState,
    call: &Call,
    scope: &WorkspaceScope,
) -> Result<ApiKeyId, Problem> {
    if let Some(key) = scope.api_key() {
        return Ok(key);
    }
    let within = state.store.within(scope);
    if let Some(key) = within.run_caller().await? {
        return Ok(key);
    }
    // Nobody ever sees it: calls are made by its hash.
    let text = write(CredentialKind::ApiKey, &state.sources.random.bytes()?);
    let (hash, prefix) = text.expose(|bytes| {
        let shown = bytes.iter().take(SHOWN_PREFIX_CHARS);
        let prefix: String = shown.map(|byte| char::from(*byte)).collect();
        (state.hasher.hash(HashPurpose::ApiKey, bytes), prefix)
    });
    let new = NewApiKey {
        id: state.sources.id()?,
        user: scope.user(),
        name: CALLER_NAME.to_owned(),
        prefix,
        hash,
        scopes: vec![ApiScope::InferenceInvoke],
        default_model: None,
        expires_at: None,
    };
    let note = call.note_on("api_key.create", new.id);
    within.create_run_caller(&new, &note, call.now).await?;
    Ok(new.id)
}

/// The credential of a link, and its keyed hash.
fn link(
    state: &ControlState,
    visibility: Visibility,
) -> Result<(Option<Secret>, Option<[u8; 32]>), Problem> {
    if visibility != Visibility::Link {
        return Ok((None, None));
    }
    let link = write(CredentialKind::RunLink, &state.sources.random.bytes()?);
    let hash = link.expose(|bytes| state.hasher.hash(HashPurpose::RunLink, bytes));
    Ok((Some(link), Some(hash)))
}

fn is_maker(scope: &WorkspaceScope, row: &RunRow) -> Result<(), Problem> {
    match scope.user() == row.user {
        true => Ok(()),
        false => Err(Problem::denied("the person who made the run")),
    }
}

fn may_end(scope: &WorkspaceScope, row: &RunRow) -> Result<(), Problem> {
    match scope.user() == row.user || scope.role() >= Role::Admin {
        true => Ok(()),
        false => Err(Problem::denied(
            "the person who made the run, or an admin of the workspace",
        )),
    }
}
