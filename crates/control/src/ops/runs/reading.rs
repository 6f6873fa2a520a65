//! Those who read documents, and how much memory they have.
//!
//! A picture is read from the store piece by piece as its reader takes it, so that a slow reader holds some pieces and no
//! picture. What a document takes in memory is counted until its last byte is sent: in all, for each workspace, and for
//! links apart from members, so that a link that goes around takes nothing from anybody who works.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::access::Action;
use domain::{RunId, WorkspaceId};
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use store::{Piece, RunPart};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use super::document::{Document, Part};
use crate::error::{Code, Problem};
use crate::ops::live::authorized_anew;
use crate::state::ControlState;

/// How much is read at once. In base64 it ends where four characters do.
const PIECE_BYTES: u32 = 255 * 1024;
/// What a reader of a picture has in memory: a piece that is read, one that waits and one that is sent, in base64.
const READER_BYTES: usize = 4 * PIECE_BYTES as usize;
/// What all readers have, members and those with links each.
const ROOM_BYTES: usize = 64 * 1024 * 1024;
/// What the readers of one workspace's documents have.
const WORKSPACE_BYTES: usize = ROOM_BYTES / 4;
/// How long a document waits for its turn to be written.
const TURN_WITHIN: Duration = Duration::from_secs(5);
/// How long a document may take to be sent.
const SENT_WITHIN: Duration = Duration::from_secs(600);

/// Where documents are read.
#[derive(Default)]
pub(crate) struct Desk {
    /// By members.
    pub(crate) members: Room,
    /// By those who have a link.
    pub(crate) links: Room,
}

/// Where some readers are: their memory, by workspace, and whose turn it is.
pub(crate) struct Room {
    taken: Arc<Mutex<HashMap<WorkspaceId, usize>>>,
    /// Reading Markdown takes many times its length, for a moment: so it is one document's at a time. Each room has a turn
    /// of its own, so that members wait for no link.
    turn: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            taken: Arc::default(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }
}

/// A reader's part of it, given back at the end.
pub(crate) struct Seat {
    room: Arc<Mutex<HashMap<WorkspaceId, usize>>>,
    workspace: WorkspaceId,
    bytes: usize,
}

impl Room {
    /// Takes so much of it.
    ///
    /// # Errors
    /// `too_many_readers`.
    fn take(&self, workspace: WorkspaceId, bytes: usize) -> Result<Seat, Problem> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.get(&workspace).copied().unwrap_or(0);
        if own + bytes > WORKSPACE_BYTES || taken.values().sum::<usize>() + bytes > ROOM_BYTES {
            return Err(too_many());
        }
        taken.insert(workspace, own + bytes);
        Ok(Seat {
            room: Arc::clone(&self.taken),
            workspace,
            bytes,
        })
    }

    /// Waits until it is a document's turn to be written.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let turn = timeout(TURN_WITHIN, Arc::clone(&self.turn).acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or_else(too_many)
    }
}

impl Seat {
    /// Gives back what is beyond so much.
    fn keep(&mut self, bytes: usize) {
        let rest = self.bytes.saturating_sub(bytes);
        self.bytes -= rest;
        let mut taken = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.workspace) {
            *own = own.saturating_sub(rest);
            if *own == 0 {
                taken.remove(&self.workspace);
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.keep(0);
    }
}

fn too_many() -> Problem {
    Problem::new(Code::TooManyReaders).retry_after_s(5)
}

/// By what right somebody reads a run. It is asked anew for each piece, so that what is hidden, or
/// whose reader may no more, is hidden at once.
#[derive(Clone)]
pub(crate) enum Reader {
    /// Whoever sent these headers, to read in this workspace.
    Member(WorkspaceId, Box<HeaderMap>),
    /// That of a link with this keyed hash, which leads to a run of the workspace.
    Link(WorkspaceId, [u8; 32]),
}

impl Reader {
    fn room<'a>(&self, state: &'a ControlState) -> (&'a Room, WorkspaceId) {
        match self {
            Self::Member(workspace, _) => (&state.desk.members, *workspace),
            Self::Link(workspace, _) => (&state.desk.links, *workspace),
        }
    }

    async fn piece(
        &self,
        state: &ControlState,
        run: RunId,
        piece: Piece,
    ) -> Result<Vec<u8>, Problem> {
        match self {
            Self::Member(workspace, headers) => {
                let scope = authorized_anew(state, headers, *workspace, Action::ReadRuns).await?;
                Ok(state.store.within(&scope).run_piece(run, piece).await?)
            }
            Self::Link(_, hash) => {
                let read = state.store.system().shared_piece(hash, piece).await?;
                read.ok_or_else(|| Problem::new(Code::NotFound))
            }
        }
    }
}

/// A document's text, written by `write` of its script, and its pictures, as a body.
///
/// # Errors
/// `too_many_readers`; `not_found` if it is not the reader's any more.
pub(crate) async fn document(
    state: &ControlState,
    reader: Reader,
    document: Document,
    write: impl FnOnce(&Document, Option<&str>) -> Vec<Part> + Send + 'static,
) -> Result<Body, Problem> {
    let (room, workspace) = reader.room(state);
    // The seat comes first: it bounds those who wait, with the scripts that they have read.
    let seat = room.take(workspace, document.text_bytes() + READER_BYTES)?;
    let run = document.run.id;
    let script = match &document.script {
        None => None,
        Some(part) => {
            let whole = Piece {
                step: part.step,
                from: 0,
                bytes: u32::try_from(part.bytes).unwrap_or(u32::MAX),
            };
            let script = reader.piece(state, run, whole).await?;
            Some(String::from_utf8_lossy(&script).into_owned())
        }
    };
    let turn = room.turn().await?;
    // Apart from what answers requests: it may take some milliseconds. The turn and the seat go along, for it goes on when
    // its reader is gone.
    let written = tokio::task::spawn_blocking(move || {
        let parts = write(&document, script.as_deref());
        drop(turn);
        (parts, seat)
    });
    let (parts, mut seat) = written.await.map_err(|error| Problem::internal(&error))?;
    let text = parts.iter().map(|part| match part {
        Part::Text(text) => text.len(),
        Part::Picture(_) | Part::Encoded(_) => 0,
    });
    seat.keep(text.sum::<usize>() + READER_BYTES);
    Ok(body(state, reader, run, parts, seat))
}

/// A picture, as a body.
///
/// # Errors
/// `too_many_readers`.
pub(crate) fn picture(
    state: &ControlState,
    reader: Reader,
    run: RunId,
    picture: RunPart,
) -> Result<Body, Problem> {
    let (room, workspace) = reader.room(state);
    let bytes = usize::try_from(picture.bytes).unwrap_or(usize::MAX);
    let seat = room.take(workspace, bytes.saturating_mul(4).min(READER_BYTES))?;
    Ok(body(state, reader, run, vec![Part::Picture(picture)], seat))
}

fn body(state: &ControlState, reader: Reader, run: RunId, parts: Vec<Part>, seat: Seat) -> Body {
    let left = parts.iter().map(Part::bytes).sum();
    let (sender, pieces) = mpsc::channel(1);
    let state = state.clone();
    tokio::spawn(async move {
        let sending = send(&state, &reader, run, parts, &sender);
        // A reader who takes longer, or may read no more, misses the end, and the length of the answer says so.
        let _ = timeout(SENT_WITHIN, sending).await;
    });
    Body::new(Sent {
        pieces,
        left,
        _seat: seat,
    })
}

/// Sends the parts one behind the other. `None`: the reader is gone, or may read no more.
async fn send(
    state: &ControlState,
    reader: &Reader,
    run: RunId,
    parts: Vec<Part>,
    sender: &mpsc::Sender<Bytes>,
) -> Option<()> {
    for part in parts {
        let (picture, encoded) = match part {
            Part::Text(text) => {
                sender.send(text).await.ok()?;
                continue;
            }
            Part::Picture(picture) => (picture, false),
            Part::Encoded(picture) => (picture, true),
        };
        let mut from = 0;
        while from < picture.bytes {
            let piece = Piece {
                step: picture.step,
                from,
                bytes: PIECE_BYTES,
            };
            let read = reader.piece(state, run, piece).await.ok()?;
            if read.is_empty() {
                return None;
            }
            from += read.len() as u64;
            let bytes = match encoded {
                true => STANDARD.encode(read).into_bytes(),
                false => read,
            };
            sender.send(bytes.into()).await.ok()?;
        }
    }
    Some(())
}

/// What is sent, with the seat of its reader.
struct Sent {
    pieces: mpsc::Receiver<Bytes>,
    /// How many bytes are still to come.
    left: u64,
    _seat: Seat,
}

/// The document broke off.
#[derive(Debug, thiserror::Error)]
#[error("the document ended before its end: its reader was too slow, or may read it no more")]
struct Cut;

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let piece = std::task::ready!(self.pieces.poll_recv(context));
        Poll::Ready(match piece {
            Some(piece) => {
                self.left = self.left.saturating_sub(piece.len() as u64);
                Some(Ok(Frame::data(piece)))
            }
            None if self.left > 0 => {
                self.left = 0;
                Some(Err(Cut))
            }
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_have_so_much_memory_and_give_it_back() {
        let room = Room::default();
        let workspace = |number: u8| WorkspaceId::from_bytes([number; 16]);
        let take = |number: u8, bytes: usize| room.take(workspace(number), bytes);
        let mut own = take(1, WORKSPACE_BYTES).expect("its part");
        let refused = take(1, 1).err().expect("no more than its part");
        assert_eq!(refused.code(), Code::TooManyReaders);
        own.keep(10);
        let more = take(1, WORKSPACE_BYTES - 10).expect("what was given back");
        let others: Vec<Seat> = (2..=4)
            .map(|number| take(number, WORKSPACE_BYTES).expect("its part"))
            .collect();
        assert!(take(5, 1).is_err(), "all of it is taken");
        drop(own);
        assert!(take(5, 10).is_ok());
        drop((more, others));
        assert!(room.taken.lock().expect("whole").is_empty());
    }

    #[tokio::test]
    async fn members_wait_for_no_link() {
        let desk = Desk::default();
        let held = desk.links.turn().await.expect("the first");
        drop(desk.members.turn().await.expect("a turn of their own"));
        assert_eq!(desk.links.turn.available_permits(), 0, "it is taken");
        drop(held);
        drop(desk.links.turn().await.expect("given back"));
    }

    #[test]
    fn a_reader_of_the_largest_document_has_a_seat() {
        let largest = 1 << 20;
        let bytes = largest + super::super::script::most(largest) + READER_BYTES;
        assert!(bytes <= WORKSPACE_BYTES);
        assert_eq!(PIECE_BYTES % 3, 0, "base64 has no end in between");
    }
}
