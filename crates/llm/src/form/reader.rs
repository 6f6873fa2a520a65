//! A form that is read while it comes, in bounded memory, however it is split.

use std::ops::Range;

use memchr::memmem;

use super::{
    Boundary, CRLF, MAX_PART_HEAD_BYTES, MAX_PARTS, PartHead, is_true, lines, lookalike, part_head,
};
use crate::head::{self, Head, HeadError, MAX_MODEL_BYTES, Spelling};

/// So much is looked at in one go; with the longest head of a part it bounds what a reader holds.
const PIECE_BYTES: usize = 16 * 1024;
/// What stands between the head of a part and its value.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// Reads a form piece by piece.
///
/// Every rule is checked as soon as the bytes that break it are there, so what was taken without an error may go on. It
/// holds at most 32 KiB, whatever comes. After an error it is of no use.
pub struct Reader {
    /// Two dashes and the boundary.
    delimiter: Vec<u8>,
    state: State,
    /// What came and was not understood yet, or is looked at again with what follows.
    pending: Vec<u8>,
    /// Where `pending` stands in the form.
    offset: usize,
    /// How many parts have begun.
    parts: usize,
    /// The value of the field that is being read, if it matters.
    value: Vec<u8>,
    model: Option<(String, Range<usize>)>,
    stream: Option<bool>,
}

#[derive(Clone, Copy)]
enum State {
    /// Before the first boundary.
    Beginning,
    /// Behind a boundary: another part follows, or the end.
    Delimited,
    Head,
    /// In a value that begins here.
    Value(usize, Field),
    /// Behind the last boundary.
    Closed,
}

/// Which field a value is of.
#[derive(Clone, Copy)]
enum Field {
    Model,
    Stream,
    /// One that passes unread.
    Other,
}

impl Reader {
    /// A reader of a form whose parts stand between this.
    pub fn new(boundary: &Boundary) -> Self {
        Self {
            delimiter: format!("--{}", boundary.0).into_bytes(),
            state: State::Beginning,
            pending: Vec::new(),
            offset: 0,
            parts: 0,
            value: Vec::new(),
            model: None,
            stream: None,
        }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`HeadError`] for the first rule that the form breaks; all of them are the client's to mend.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), HeadError> {
        for piece in bytes.chunks(PIECE_BYTES) {
            self.pending.extend_from_slice(piece);
            while self.step()? {}
        }
        Ok(())
    }

    /// What is known of the form as soon as its model is. The field `stream` may follow yet.
    pub fn head(&self) -> Option<Head> {
        let (model, span) = self.model.clone()?;
        Some(Head {
            model,
            stream: self.stream.unwrap_or(false),
            output_limit: None,
            choices: None,
            named: Vec::new(),
            may_be_kept: true,
            model_spans: vec![span],
            spelling: Spelling::Plain,
        })
    }

    /// What the whole form says.
    ///
    /// # Errors
    /// [`HeadError`]: the form is not at its end, or names no model.
    pub fn finish(&self) -> Result<Head, HeadError> {
        let ends = matches!(self.state, State::Closed) && [b"", CRLF].contains(&&*self.pending);
        if !ends {
            return Err(HeadError::Form("its last boundary is missing"));
        }
        self.head().ok_or(HeadError::ModelMissing)
    }

    /// Understands a little more. `false`: more must come first.
    fn step(&mut self) -> Result<bool, HeadError> {
        match self.state {
            State::Beginning => self.begin(),
            State::Delimited => self.follow(),
            State::Head => self.read_head(),
            State::Value(start, field) => self.read_value(start, field),
            State::Closed if CRLF.starts_with(&self.pending) => Ok(false),
            State::Closed => Err(HeadError::Form("text stands behind the last boundary")),
        }
    }

    fn begin(&mut self) -> Result<bool, HeadError> {
        let came = self.pending.len().min(self.delimiter.len());
        if self.pending[..came] != self.delimiter[..came] {
            return Err(HeadError::Form("text stands before the first boundary"));
        }
        if came < self.delimiter.len() {
            return Ok(false);
        }
        self.take(came);
        self.state = State::Delimited;
        Ok(true)
    }

    fn follow(&mut self) -> Result<bool, HeadError> {
        self.state = match &*self.pending {
            [] | b"\r" | b"-" => return Ok(false),
            [b'\r', b'\n', ..] if self.parts == MAX_PARTS => {
                return Err(HeadError::Form("it has too many parts"));
            }
            [b'\r', b'\n', ..] => {
                self.parts += 1;
                State::Head
            }
            [b'-', b'-', ..] => State::Closed,
            _ => return Err(HeadError::Form("a boundary is followed by something else")),
        };
        self.take(2);
        Ok(true)
    }

    fn read_head(&mut self) -> Result<bool, HeadError> {
        let end = memmem::find(&self.pending, HEAD_END);
        let least = end.unwrap_or((self.pending.len() + 1).saturating_sub(HEAD_END.len()));
        if least > MAX_PART_HEAD_BYTES {
            return Err(HeadError::Form("a part has no head, or too long a one"));
        }
        let Some(end) = end else {
            return Ok(false);
        };
        let head = &self.pending[..end];
        // Another parser looks for boundaries first.
        if lines(head).any(|line| line.starts_with(&self.delimiter)) {
            return Err(HeadError::Form("a part has no head, or too long a one"));
        }
        let PartHead { name, plain } = part_head(head)?;
        match lookalike(name) {
            // What flows cannot be sent twice, and a gateway behind us shall choose nothing by it.
            Some("models") => return Err(HeadError::ModelsNotTaken),
            Some(field) => return Err(HeadError::Case(field)),
            None => {}
        }
        let field = match name {
            b"model" if !plain => return Err(HeadError::Model),
            b"model" if self.model.is_some() => return Err(HeadError::Repeated("model")),
            b"model" => Field::Model,
            b"stream" if !plain => return Err(HeadError::Stream),
            b"stream" if self.stream.is_some() => return Err(HeadError::Repeated("stream")),
            b"stream" => Field::Stream,
            b"_charset_" => return Err(HeadError::Form("a form is in UTF-8")),
            _ => Field::Other,
        };
        // The line end stays: a boundary behind it would be in a line of its own, but not behind a value.
        self.take(end + HEAD_END.len() - CRLF.len());
        self.state = State::Value(self.offset + CRLF.len(), field);
        Ok(true)
    }

    fn read_value(&mut self, start: usize, field: Field) -> Result<bool, HeadError> {
        let delimiter = memmem::find_iter(&self.pending, &self.delimiter).find(|at| {
            self.pending[..*at]
                .last()
                .is_some_and(|it| CRLF.contains(it))
        });
        let Some(at) = delimiter else {
            // What may be the beginning of one, and the line end before it, is looked at again.
            let passed = (self.pending.len()).saturating_sub(self.delimiter.len() + CRLF.len());
            self.keep(start, field, passed)?;
            self.take(passed);
            return Ok(false);
        };
        let whole = self.pending[..at].ends_with(CRLF) && start + CRLF.len() <= self.offset + at;
        if !whole {
            // However it was split: what could have been kept by now offends first if it is too long.
            self.keep(start, field, at.saturating_sub(CRLF.len() + 1))?;
            return Err(HeadError::Form("a boundary does not stand in its own line"));
        }
        let end = at - CRLF.len();
        self.keep(start, field, end)?;
        self.field_ends(field, start..self.offset + end)?;
        self.take(at + self.delimiter.len());
        self.state = State::Delimited;
        Ok(true)
    }

    /// Keeps of the next bytes, up to `end` in `pending`, what belongs to a value that matters and begins at `start`.
    fn keep(&mut self, start: usize, field: Field, end: usize) -> Result<(), HeadError> {
        let too_long = match field {
            Field::Other => return Ok(()),
            Field::Model => HeadError::Model,
            Field::Stream => HeadError::Stream,
        };
        let begin = start.saturating_sub(self.offset);
        let bytes = self.pending.get(begin..end).unwrap_or_default();
        if self.value.len() + bytes.len() > MAX_MODEL_BYTES {
            return Err(too_long);
        }
        self.value.extend_from_slice(bytes);
        Ok(())
    }

    fn field_ends(&mut self, field: Field, span: Range<usize>) -> Result<(), HeadError> {
        let value = std::mem::take(&mut self.value);
        match field {
            Field::Model => {
                let model = String::from_utf8(value).map_err(|_| HeadError::Model)?;
                head::checked_model(&model)?;
                self.model = Some((model, span));
            }
            Field::Stream => self.stream = Some(is_true(&value)?),
            Field::Other => {}
        }
        Ok(())
    }

    /// Drops the first bytes of what is looked at.
    fn take(&mut self, bytes: usize) {
        self.pending.drain(..bytes);
        self.offset += bytes;
    }
}

#[cfg(test)]
mod tests;
