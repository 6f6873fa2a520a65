//! The calls of a stream of chunks, whose arguments may come in turns. Other formats have one call after the other.

use std::collections::BTreeMap;

use super::super::answer::is_usual;
use crate::neutral::{Block, Delta, Fields, Happening, Warnings};
use crate::translate::call_name;

/// The calls that have begun. They are told in this order: one that begins while the one before is not at the end of its
/// arguments is kept back.
#[derive(Default)]
pub(super) struct Calls {
    all: Vec<Call>,
    /// The last call that began at each place.
    latest: BTreeMap<u64, usize>,
    /// How many were told to their end.
    closed: usize,
    /// What is kept, in bytes.
    kept_bytes: usize,
}

struct Call {
    id: String,
    /// Whether the provider named it so.
    is_named: bool,
    name: String,
    arguments: Arguments,
    /// What was not told of them.
    untold: String,
}

/// A piece of a call, as a chunk has it.
pub(super) struct Piece {
    id: Option<String>,
    place: Option<u64>,
    name: Option<String>,
    arguments: String,
}

/// What a call takes beside its texts, at a guess.
const CALL_BYTES: usize = 256;

impl Piece {
    /// `None`: it is none.
    pub(super) fn of(mut fields: Fields<'_>, warnings: &mut Warnings) -> Option<Self> {
        let id = fields.text("id").ok()?.filter(|id| !id.is_empty());
        let place = fields.whole("index").ok()?;
        let (name, arguments) = match fields.object("function").ok()? {
            Some(mut function) => {
                let name = function.text("name").ok()?.filter(|name| !name.is_empty());
                let arguments = function.text("arguments").ok()?;
                function.leave_said(is_usual, warnings);
                (name, arguments)
            }
            None => (None, None),
        };
        fields.leave_said(is_usual, warnings);
        Some(Self {
            id,
            place,
            name,
            arguments: arguments.unwrap_or_default(),
        })
    }

    fn goes_on(&self) -> bool {
        !self.arguments.trim().is_empty()
    }
}

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// The call that this piece is more of; `None`: it begins one.
    fn known(&self, piece: &Piece) -> Option<usize> {
        let at = match piece.place {
            Some(place) => *self.latest.get(&place)?,
            // Servers that leave the place out send each call whole, or one after the other.
            None => self.all.len().checked_sub(1)?,
        };
        let call = &self.all[at];
        let is_same = match &piece.id {
            // Some servers repeat the id, and the name with it.
            Some(id) if call.is_named && *id == call.id => true,
            // Some servers give each piece an id of its own; without a name it begins nothing.
            Some(_) if call.is_named => piece.name.is_none(),
            // Some servers have one place for all calls, and no ids.
            _ => piece.name.as_ref().is_none_or(|name| {
                *name == call.name && !(call.arguments.are_whole() && piece.goes_on())
            }),
        };
        is_same.then_some(at)
    }

    /// Whether this piece begins a call.
    pub(super) fn begins(&self, piece: &Piece) -> bool {
        self.known(piece).is_none()
    }

    /// Whether a call is being told.
    pub(super) fn is_open(&self) -> bool {
        self.closed < self.all.len()
    }

    /// Takes a piece and adds what happens. `answer`: the answer's id. `None`: it belongs to no call, or to one that was
    /// told to its end.
    pub(super) fn take(
        &mut self,
        piece: &Piece,
        answer: Option<&str>,
        happened: &mut Vec<Happening>,
    ) -> Option<()> {
        let is_open = self.is_open();
        let at = match self.known(piece) {
            Some(at) => at,
            None => self.begin(piece, answer)?,
        };
        if at < self.closed {
            // Blanks behind the end of what was told.
            return (!piece.goes_on()).then_some(());
        }
        let call = &mut self.all[at];
        call.arguments.read(&piece.arguments);
        call.untold.push_str(&piece.arguments);
        self.kept_bytes = self.kept_bytes.saturating_add(piece.arguments.len());
        if !is_open {
            self.open(happened);
        }
        self.tell(happened);
        while self.all[self.closed].arguments.are_whole() && self.closed + 1 < self.all.len() {
            self.close_one(happened);
            self.open(happened);
            self.tell(happened);
        }
        Some(())
    }

    fn begin(&mut self, piece: &Piece, answer: Option<&str>) -> Option<usize> {
        let at = self.all.len();
        let name = piece.name.clone()?;
        let id = piece.id.clone();
        let is_named = id.is_some();
        let id = id.unwrap_or_else(|| call_name(answer, at as u64));
        self.kept_bytes = self
            .kept_bytes
            .saturating_add(CALL_BYTES + id.len() + name.len());
        self.latest.insert(piece.place.unwrap_or(at as u64), at);
        self.all.push(Call {
            id,
            is_named,
            name,
            arguments: Arguments::default(),
            untold: String::new(),
        });
        Some(at)
    }

    /// Closes the call that is open, and tells those that wait.
    pub(super) fn close(&mut self, happened: &mut Vec<Happening>) {
        self.close_one(happened);
        while self.closed < self.all.len() {
            self.open(happened);
            self.tell(happened);
            self.close_one(happened);
        }
    }

    fn open(&mut self, happened: &mut Vec<Happening>) {
        let call = &self.all[self.closed];
        happened.push(Happening::Open(Block::Call {
            id: call.id.clone(),
            name: call.name.clone(),
        }));
    }

    fn tell(&mut self, happened: &mut Vec<Happening>) {
        let untold = std::mem::take(&mut self.all[self.closed].untold);
        if !untold.is_empty() {
            self.kept_bytes = self.kept_bytes.saturating_sub(untold.len());
            happened.push(Happening::Delta(Delta::Text(untold)));
        }
    }

    fn close_one(&mut self, happened: &mut Vec<Happening>) {
        self.closed += 1;
        happened.push(Happening::Close);
    }
}

/// How far the arguments of a call are read: whether they are a whole JSON object or list.
#[derive(Default)]
struct Arguments {
    depth: usize,
    in_string: bool,
    escaped: bool,
    whole: bool,
}

impl Arguments {
    fn read(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.whole = self.depth == 0;
                }
                _ => {}
            }
        }
    }

    fn are_whole(&self) -> bool {
        self.whole && self.depth == 0
    }
}
