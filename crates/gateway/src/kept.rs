//! Which key made what a provider keeps. Only that key finds it again: a call that names a response, a file or a batch
//! goes to the key that made it, whatever the order of the keys says. So does a call whose prompt names a file.

use std::sync::Arc;
use std::time::Duration;

use domain::{KeyScope, ProviderId, ProviderKeyId, WorkspaceId};
use http::Method;
use llm::format::FormatId;
use llm::head::{self, MAX_NAMED, Named};
use llm::kept::{self, StreamedItems};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use store::Store;

use crate::Plane;
use crate::admit::{Admitted, essence};
use crate::endpoint::{self, Call, Priced};
use crate::error::Failure;
use crate::pass::Pass;
use crate::plan::way::Way;
use crate::settle::Settlement;
use crate::snapshot::View;

/// What providers keep is named by the segment behind one of these.
const COLLECTIONS: [&str; 10] = [
    "/files",
    "/uploads",
    "/batches",
    "/responses",
    "/messages/batches",
    "/conversations",
    "/vector_stores",
    "/containers",
    "/fine_tuning/jobs",
    "/cachedContents",
];
/// How many makers are remembered without asking the store.
const MAX_REMEMBERED: u64 = 10_000;
/// So much of the beginning of an answer is read for ids. A response has those of its items behind its instructions, a
/// batch that of its results behind the list of its errors.
const BEGINNING_OF_RESPONSE: usize = 256 * 1024;
const BEGINNING_OF_OBJECT: usize = 64 * 1024;
/// A stream has the id of the response first of all; items have events of their own.
const BEGINNING_OF_STREAM: usize = 4 * 1024;
/// What another process notes it writes within a third of a second, unless the store is slow. So long, and so often,
/// something is waited for of which nobody knows.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);
const LOOKS: u32 = 5;
/// For how long nothing is waited for again that did not come.
const UNKNOWN_FOR: Duration = Duration::from_secs(10 * 60);

/// The key that made something, and its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Maker {
    pub(crate) provider: ProviderId,
    pub(crate) key: ProviderKeyId,
}

/// Who made what. The store knows all of it, other processes learn it there a moment later. Clones share everything.
#[derive(Clone)]
pub(crate) struct Makers {
    known: Cache<Name, Maker>,
    /// What was waited for in vain; `None`: no other process can note anything, so that nothing is waited for.
    unknown: Option<Cache<Name, ()>>,
}

/// What a workspace calls something.
type Name = (WorkspaceId, Arc<str>);

impl Makers {
    /// `is_shared`: other processes note what they made in the same store.
    pub(crate) fn new(is_shared: bool) -> Self {
        // What was made last is asked for next, and the store may not have it yet: it is never what there is no room for.
        let known = Cache::builder()
            .max_capacity(MAX_REMEMBERED)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        let unknown = || {
            Cache::builder()
                .max_capacity(MAX_REMEMBERED)
                .time_to_live(UNKNOWN_FOR)
                .build()
        };
        Self {
            known,
            unknown: is_shared.then(unknown),
        }
    }

    /// Who made each of these for the workspace; `None`: nobody knows. What is not remembered the store is asked for all at
    /// once, and some more times a little later where another process may be about to write it. `matters`: so that it is worth
    /// the wait.
    pub(crate) async fn of_all(
        &self,
        store: &Store,
        workspace: WorkspaceId,
        ids: &[&str],
        matters: bool,
    ) -> Result<Vec<Option<Maker>>, Failure> {
        let mut makers: Vec<Option<Maker>> = ids
            .iter()
            .map(|id| self.known.get(&name(workspace, id)))
            .collect();
        let mut looks = 0;
        loop {
            let each = ids.iter().copied().zip(&makers);
            let sought: Vec<&str> = each
                .filter(|(_, maker)| maker.is_none())
                .map(|(id, _)| id)
                .collect();
            if sought.is_empty() {
                return Ok(makers);
            }
            self.look(store, workspace, &sought, |id, maker| {
                if let Some(at) = ids.iter().position(|it| *it == id) {
                    makers[at] = Some(maker);
                }
            })
            .await?;
            let Some(unknown) = self.unknown.as_ref().filter(|_| matters) else {
                return Ok(makers);
            };
            let each = ids.iter().zip(&makers);
            let missing = each.filter(|(_, maker)| maker.is_none());
            let mut missing = missing.map(|(id, _)| name(workspace, id));
            if looks == LOOKS {
                missing.for_each(|name| unknown.insert(name, ()));
                return Ok(makers);
            }
            if missing.all(|name| unknown.contains_key(&name)) {
                return Ok(makers);
            }
            looks += 1;
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
    }

    /// Asks the store for these, and remembers what it knows.
    async fn look(
        &self,
        store: &Store,
        workspace: WorkspaceId,
        ids: &[&str],
        mut on_found: impl FnMut(&str, Maker),
    ) -> Result<(), Failure> {
        let found = store.serving().makers(workspace, ids).await;
        let found = found.map_err(|error| {
            tracing::warn!(%error, "with which keys objects were made cannot be looked up");
            Failure::StoreUnavailable
        })?;
        for (id, provider, key) in found {
            let maker = Maker { provider, key };
            self.known.insert(name(workspace, &id), maker.clone());
            on_found(&id, maker);
        }
        Ok(())
    }
}

fn name(workspace: WorkspaceId, id: &str) -> Name {
    (workspace, Arc::from(id))
}

/// Whether who made something decides which of the caller's keys may serve: it has several, or one that other workspaces
/// share.
fn matters(view: &View) -> bool {
    let held = &view.caller.held;
    held.len() > 1
        || held
            .iter()
            .any(|key| key.owner.scope() == KeyScope::Account)
}

/// The call, with the key that made what its body names: the response that it goes on from, a file of its prompt or that
/// of a new batch. A refusal is settled.
pub(crate) async fn continued(
    plane: &Plane,
    mut admitted: Box<Admitted>,
    pass: Option<&Pass>,
) -> Result<Box<Admitted>, Failure> {
    let unread = pass.and_then(|pass| unread(&admitted, pass));
    let (named, is_all) = match &unread {
        Some(unread) => (&unread.ids, unread.is_all),
        None => (&admitted.head.named, true),
    };
    // What stands behind so many was not looked at.
    let is_all = is_all && named.len() < MAX_NAMED;
    if named.is_empty() {
        admitted.names_unknown = !is_all;
        return Ok(admitted);
    }
    match maker_of_all(plane, &admitted.view, named, admitted.maker.as_ref()).await {
        Ok((maker, all_known)) => {
            admitted.names_unknown = !(is_all && all_known);
            admitted.maker = maker;
            Ok(admitted)
        }
        Err(failure) => Err(admitted.settlement.refuse(failure)),
    }
}

/// Who made these and what `known` made, `None`: nobody knows of any; and whether all of them are known.
async fn maker_of_all(
    plane: &Plane,
    view: &View,
    named: &[String],
    known: Option<&Maker>,
) -> Result<(Option<Maker>, bool), Failure> {
    let ids: Vec<&str> = named.iter().map(String::as_str).collect();
    let makers = makers(plane, view, &ids).await?;
    let all_known = makers.iter().all(Option::is_some);
    let mut all = known.cloned();
    for maker in makers.into_iter().flatten() {
        match &all {
            Some(all) if *all != maker => {
                return Err(Failure::ObjectKeysDiffer {
                    providers: providers(all, &maker),
                });
            }
            Some(_) => {}
            None => all = Some(maker),
        }
    }
    Ok((all, all_known))
}

/// Who made each of these for the caller.
async fn makers(plane: &Plane, view: &View, ids: &[&str]) -> Result<Vec<Option<Maker>>, Failure> {
    let workspace = view.caller.record.workspace;
    let makers = plane
        .makers
        .of_all(&plane.store, workspace, ids, matters(view));
    // In a box: most calls name nothing.
    Box::pin(makers).await
}

fn providers(one: &Maker, other: &Maker) -> Vec<ProviderId> {
    let mut providers = vec![one.provider.clone(), other.provider.clone()];
    providers.dedup();
    providers
}

/// The same for a request that is passed on, whose path may have named something already.
pub(crate) async fn passed(
    plane: &Plane,
    mut admitted: Box<Admitted>,
    pass: &Pass,
    by_path: Result<Option<Maker>, Failure>,
) -> Result<Box<Admitted>, Failure> {
    match by_path {
        Ok(maker) => {
            admitted.path_is_made = maker.is_some();
            admitted.maker = maker;
            continued(plane, admitted, Some(pass)).await
        }
        Err(failure) => Err(admitted.settlement.refuse(failure)),
    }
}

/// Who made what the path names.
pub(crate) async fn by_path(
    plane: &Plane,
    view: &View,
    pass: &Pass,
) -> Result<Option<Maker>, Failure> {
    match below_collection(&pass.path) {
        Some((_, Some(id), _)) if kept::is_id(id) => {
            let makers = makers(plane, view, &[id]).await?;
            Ok(makers.into_iter().flatten().next())
        }
        _ => Ok(None),
    }
}

/// What the body of a passed request names that nobody has read. `None`: the body was read, there is none, or it is none
/// that makes or changes what is kept.
fn unread(admitted: &Admitted, pass: &Pass) -> Option<Named> {
    let is_unread = admitted.call.priced == Priced::Unknown;
    let collection = below_collection(&pass.path).map(|(collection, ..)| collection);
    let makes = admitted.method == Method::POST && collection.is_some();
    let body = &admitted.body;
    let has_body = !body.bytes.is_empty() || body.upload.is_some();
    if !(is_unread && makes && has_body) {
        return None;
    }
    let media_type = body.media_type.as_ref();
    let is_form = media_type.is_some_and(|it| essence(it.as_bytes()).starts_with(b"multipart/"));
    if is_form && collection == Some("/uploads") {
        // A part of a file, which names nothing.
        return None;
    }
    // A provider may read an object whatever it is called.
    let mut named = head::named(&body.bytes);
    named.is_all &= !is_form && body.upload.is_none();
    Some(named)
}

fn is_response(call: &Call) -> bool {
    call.format == FormatId::OpenaiResponses && call.beside.is_none()
}

/// The collection that a path leads to, the segment behind it, and whether more follows.
fn below_collection(path: &str) -> Option<(&'static str, Option<&str>, bool)> {
    let mut versions = ["/v1beta/", "/v1/"].into_iter();
    let below = versions.find_map(|it| path.starts_with(it).then(|| &path[it.len() - 1..]));
    let path = below.unwrap_or(path).trim_end_matches('/');
    COLLECTIONS.iter().find_map(|collection| {
        let rest = path.strip_prefix(collection)?;
        if rest.is_empty() {
            return Some((*collection, None, false));
        }
        let rest = rest.strip_prefix('/')?;
        match rest.split_once('/') {
            Some((id, _)) => Some((*collection, Some(id), true)),
            None => Some((*collection, Some(rest), false)),
        }
    })
}

/// Leaves the ways that may find what the call names: those of the key that made it, and where nothing is known of some of
/// it, no key of the account, since what is kept under that may be another workspace's. Calls that credits pay for name
/// nothing that is kept, and are told so.
pub(crate) fn retain(ways: &mut Vec<Way>, admitted: &Admitted) -> Result<(), Failure> {
    let Admitted {
        maker,
        names_unknown,
        ..
    } = admitted;
    let first = ways.first().map(|way| way.target.provider.clone());
    ways.retain(|way| {
        let made = maker.as_ref().is_none_or(|it| way.target.key == it.key);
        // What is translated takes no such names along; that is told by the translation.
        let is_blind = way.speaks != admitted.call.format;
        made && (!names_unknown || way.key_scope != KeyScope::Account || is_blind)
    });
    let provider = maker.as_ref().map(|it| it.provider.clone()).or(first);
    match (ways.is_empty(), provider) {
        (true, Some(provider)) => Err(Failure::ObjectKeyUnavailable {
            provider,
            workspace: admitted.view.caller.record.workspace,
        }),
        _ => Ok(()),
    }
}

/// How much of the beginning of an answer tells what the provider keeps of it; 0: it keeps nothing.
pub(crate) fn beginning_of_call(call: &Call, may_be_kept: bool) -> usize {
    match is_response(call) && may_be_kept && endpoint::is_main(call) {
        true => BEGINNING_OF_RESPONSE,
        false => 0,
    }
}

/// The same, of a request that is passed on.
pub(crate) fn beginning_of_pass(pass: &Pass, method: &Method) -> usize {
    let tells = match below_collection(&pass.path) {
        None => false,
        Some((_, None, _)) => *method == Method::POST,
        // What follows may be the content of a file.
        Some((_, Some(_), more)) => *method == Method::POST || *method == Method::GET && !more,
    };
    if tells { BEGINNING_OF_OBJECT } else { 0 }
}

/// The beginning of an answer that may tell what its provider keeps.
pub(crate) struct Beginning {
    makers: Makers,
    bytes: Vec<u8>,
    most: usize,
    /// Of a stream.
    items: Option<StreamedItems>,
}

impl Beginning {
    pub(crate) fn new(plane: &Plane, most: usize, is_stream: bool) -> Self {
        Self {
            makers: plane.makers.clone(),
            bytes: Vec::new(),
            most: match is_stream {
                true => most.min(BEGINNING_OF_STREAM),
                false => most,
            },
            items: is_stream.then(StreamedItems::default),
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if let Some(items) = &mut self.items {
            items.push(bytes);
        }
        let room = self.most - self.bytes.len();
        self.bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Notes with which key it was made, here at once and with the call's row in the store.
    pub(crate) fn note(self, settlement: &mut Settlement) {
        let row = settlement.row();
        let (Some(provider), Some(key)) = (row.provider.clone(), row.key) else {
            return;
        };
        let workspace = row.workspace;
        let maker = Maker { provider, key };
        let mut ids = kept::made(&self.bytes, self.items.is_some());
        ids.extend(self.items.into_iter().flat_map(StreamedItems::ids));
        for id in ids {
            let name = name(workspace, &id);
            if self.makers.known.get(&name).as_ref() != Some(&maker) {
                self.makers.known.insert(name, maker.clone());
                settlement.made(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_names_is_found() {
        for (path, found) in [
            ("/v1/files", Some(("/files", None, false))),
            ("/files/", Some(("/files", None, false))),
            ("/v1/files/file-1", Some(("/files", Some("file-1"), false))),
            (
                "/v1/files/file-1/content",
                Some(("/files", Some("file-1"), true)),
            ),
            (
                "/v1/responses/resp_1/input_items",
                Some(("/responses", Some("resp_1"), true)),
            ),
            (
                "/v1/messages/batches/b/results",
                Some(("/messages/batches", Some("b"), true)),
            ),
            (
                "/v1beta/cachedContents/c",
                Some(("/cachedContents", Some("c"), false)),
            ),
            (
                "/vector_stores/vs_1/files",
                Some(("/vector_stores", Some("vs_1"), true)),
            ),
            ("/v1/filesystem/x", None),
            ("/v1beta2/files", None),
            ("/v1/messages", None),
            ("/", None),
        ] {
            assert_eq!(below_collection(path), found, "{path}");
        }
    }

    #[test]
    fn only_answers_that_tell_of_an_object_are_read() {
        let reads = |method: Method, path: &str| {
            let pass = Pass {
                named: None,
                default: None,
                path: path.to_owned(),
                versioned: true,
            };
            beginning_of_pass(&pass, &method) > 0
        };
        assert!(reads(Method::POST, "/v1/files"));
        assert!(reads(Method::POST, "/v1/uploads/upload_1/complete"));
        assert!(reads(Method::GET, "/v1/batches/batch_1"));
        // A list; the content of a file; what is gone; what is no collection.
        assert!(!reads(Method::GET, "/v1/files"));
        assert!(!reads(Method::GET, "/v1/files/file-1/content"));
        assert!(!reads(Method::DELETE, "/v1/files/file-1"));
        assert!(!reads(Method::POST, "/v1/other"));
    }
}
