//! Finds the top-level elements of a JSON document of any size, holding one of them at a time.
//!
//! Understands an array, an object that wraps the array under `conversations`, and objects one after the
//! other (a single conversation, or JSON Lines). It looks at brackets, strings and escapes only: whether an
//! element is well formed is for its parser to say, so one bad element costs that element and no more.
//! Nesting is a counter, never recursion, and an element over the limit is skipped without being held.

use std::io::Read;

use memchr::memchr2;

use crate::error::{Error, Trouble};

const WINDOW: usize = 256 * 1024;

/// One element and where it starts in the document, in bytes.
#[derive(Debug)]
pub(crate) struct Element {
    pub(crate) bytes: Vec<u8>,
    pub(crate) offset: u64,
    /// Larger than the limit: `bytes` is not the whole.
    pub(crate) oversized: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    /// In the array; `wrapped` when the array is a value of an outer object. `first`: no element yet.
    Array {
        wrapped: bool,
        first: bool,
    },
    /// Between objects at the top level.
    Sequence,
    End,
}

pub(crate) struct Splitter<R> {
    reader: R,
    window: Vec<u8>,
    from: usize,
    to: usize,
    /// Offset in the document of `window[0]`.
    base: u64,
    place: Place,
    limit: usize,
}

#[derive(Default)]
struct Scan {
    depth: u32,
    string: bool,
    escape: bool,
    scalar: bool,
}

impl Scan {
    /// Advances over `window`; returns how many bytes belong to the value and whether it ended.
    fn advance(&mut self, window: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while let Some(&byte) = window.get(at) {
            if self.escape {
                self.escape = false;
                at += 1;
                continue;
            }
            if self.string {
                let rest = window.get(at..).unwrap_or_default();
                let Some(found) = memchr2(b'"', b'\\', rest) else { return (window.len(), false) };
                at += found + 1;
                if rest.get(found) == Some(&b'\\') {
                    self.escape = true;
                } else {
                    self.string = false;
                    if self.depth == 0 {
                        return (at, true);
                    }
                }
                continue;
            }
            match byte {
                b'"' if self.scalar => return (at, true),
                b'"' => self.string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth == 0 => return (at, true),
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return (at + 1, true);
                    }
                }
                b',' | b' ' | b'\n' | b'\r' | b'\t' if self.depth == 0 => return (at, true),
                _ if self.depth == 0 => self.scalar = true,
                _ => {}
            }
            at += 1;
        }
        (window.len(), false)
    }
}

impl<R: Read> Splitter<R> {
    /// Elements larger than `limit` bytes come back as `oversized`.
    pub(crate) fn new(reader: R, limit: usize) -> Self {
        Self { reader, window: vec![0; WINDOW], from: 0, to: 0, base: 0, place: Place::Start, limit }
    }

    /// The next element, or none at the end of the document.
    ///
    /// # Errors
    /// The document is not JSON, ends early, or goes on after its end; or reading it failed.
    pub(crate) fn next(&mut self) -> Result<Option<Element>, Error> {
        loop {
            match self.place {
                Place::Start => {
                    self.skip_mark()?;
                    match self.peek()? {
                        Some(b'[') => {
                            self.from += 1;
                            self.place = Place::Array { wrapped: false, first: true };
                        }
                        Some(b'{') => {
                            if let Some(element) = self.object()? {
                                return Ok(Some(element));
                            }
                        }
                        Some(_) => return Err(self.broken("this is not JSON")),
                        None => return Err(self.broken("the file is empty")),
                    }
                }
                Place::Array { wrapped, first } => {
                    if let Some(element) = self.array_element(wrapped, first)? {
                        return Ok(Some(element));
                    }
                }
                Place::Sequence => match self.peek()? {
                    None => self.place = Place::End,
                    Some(b'{') => return self.element().map(Some),
                    Some(_) => return Err(self.broken("something follows the end of the JSON document")),
                },
                Place::End => return Ok(None),
            }
        }
    }

    fn array_element(&mut self, wrapped: bool, first: bool) -> Result<Option<Element>, Error> {
        match self.peek()? {
            None => return Err(self.truncated()),
            Some(b']') => {
                self.from += 1;
                return self.close(wrapped).map(|()| None);
            }
            Some(b',') if !first => self.from += 1,
            Some(_) if first => {}
            Some(_) => return Err(self.broken("a comma is missing between two elements")),
        }
        self.place = Place::Array { wrapped, first: false };
        match self.peek()? {
            None => Err(self.truncated()),
            Some(b',' | b':' | b']' | b'}') => Err(self.broken("an element is missing")),
            Some(_) => self.element().map(Some),
        }
    }

    /// Past the closing bracket: the rest of the wrapping object, then nothing more.
    fn close(&mut self, wrapped: bool) -> Result<(), Error> {
        if wrapped {
            let mut rest = Scan { depth: 1, ..Scan::default() };
            self.scan(&mut rest, &mut |_| ())?;
        }
        self.place = Place::End;
        match self.peek()? {
            None => Ok(()),
            Some(_) => Err(self.broken("something follows the end of the JSON document")),
        }
    }

    /// Reads an object; on a key `conversations` with an array it switches to that array instead.
    fn object(&mut self) -> Result<Option<Element>, Error> {
        let offset = self.offset();
        let mut held = Vec::new();
        let mut oversized = false;
        let limit = self.limit;
        let mut keep = |part: &[u8]| {
            oversized |= held.len() + part.len() > limit;
            if !oversized {
                held.extend_from_slice(part);
            }
        };
        self.from += 1;
        keep(b"{");
        loop {
            match self.peek()? {
                None => return Err(self.truncated()),
                Some(b'}') => {
                    self.from += 1;
                    keep(b"}");
                    self.place = Place::Sequence;
                    return Ok(Some(Element { bytes: held, offset, oversized }));
                }
                Some(b',') => {
                    self.from += 1;
                    keep(b",");
                }
                Some(b'"') => {
                    let mut key = Vec::new();
                    self.scan(&mut Scan::default(), &mut |part| key.extend_from_slice(part))?;
                    keep(&key);
                    if self.peek()? != Some(b':') {
                        return Err(self.broken("a key without a value"));
                    }
                    self.from += 1;
                    keep(b":");
                    let next = self.peek()?;
                    if key == b"\"conversations\"" && next == Some(b'[') {
                        self.from += 1;
                        self.place = Place::Array { wrapped: true, first: true };
                        return Ok(None);
                    }
                    if next.is_none() {
                        return Err(self.truncated());
                    }
                    self.scan(&mut Scan::default(), &mut keep)?;
                }
                Some(_) => return Err(self.broken("this is not JSON")),
            }
        }
    }

    fn element(&mut self) -> Result<Element, Error> {
        let offset = self.offset();
        let limit = self.limit;
        let mut bytes = Vec::new();
        let mut oversized = false;
        self.scan(&mut Scan::default(), &mut |part| {
            oversized |= bytes.len() + part.len() > limit;
            if !oversized {
                bytes.extend_from_slice(part);
            }
        })?;
        Ok(Element { bytes, offset, oversized })
    }

    fn scan(&mut self, scan: &mut Scan, keep: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        loop {
            if self.from >= self.to && !self.refill()? {
                // A number or word at the very end has no closing mark of its own.
                return if scan.scalar && scan.depth == 0 { Ok(()) } else { Err(self.truncated()) };
            }
            let window = self.window.get(self.from..self.to).unwrap_or_default();
            let (used, ended) = scan.advance(window);
            keep(window.get(..used).unwrap_or_default());
            self.from += used;
            if ended {
                return Ok(());
            }
        }
    }

    /// The next byte that is not white space, left unread.
    fn peek(&mut self) -> Result<Option<u8>, Error> {
        loop {
            while self.from < self.to {
                match self.window.get(self.from) {
                    Some(b' ' | b'\n' | b'\r' | b'\t') => self.from += 1,
                    other => return Ok(other.copied()),
                }
            }
            if !self.refill()? {
                return Ok(None);
            }
        }
    }

    /// Past a byte order mark, which may lie on a boundary.
    fn skip_mark(&mut self) -> Result<(), Error> {
        for byte in *b"\xef\xbb\xbf" {
            if self.peek()? != Some(byte) {
                break;
            }
            self.from += 1;
        }
        Ok(())
    }

    fn refill(&mut self) -> Result<bool, Error> {
        self.base += self.to as u64;
        (self.from, self.to) = (0, 0);
        while self.to == 0 {
            match self.reader.read(&mut self.window) {
                Ok(0) => return Ok(false),
                Ok(count) => self.to = count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(read_failed(error)),
            }
        }
        Ok(true)
    }

    fn offset(&self) -> u64 {
        self.base + self.from as u64
    }

    fn broken(&self, message: &str) -> Error {
        Error::Input(Trouble::new(message).at(self.offset().to_string()))
    }

    fn truncated(&self) -> Error {
        Error::Input(
            Trouble::new("the export ends in the middle: it was cut off while it was downloaded or copied")
                .at(self.offset().to_string())
                .hint("download the export again and import the new file"),
        )
    }
}

/// Readers put an [`Error`] of ours inside the I/O error when they know better what is wrong.
fn read_failed(error: std::io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(ours) => ours,
        Err(error) => Error::Input(Trouble::new(format!("the input could not be read: {error}"))),
    }
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
