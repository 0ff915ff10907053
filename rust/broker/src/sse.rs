//! Server-sent events, split from bytes that arrive in any portions.
//!
//! Follows the event stream format of the HTML standard: lines end in CR, LF or CRLF, a leading byte order mark
//! and comments are skipped, `data` lines of one event are joined by LF. Beyond it: a field called `error` makes
//! an event of that name (old llama.cpp servers report failures so).

use memchr::memchr2;

/// Longest line and largest event, in bytes.
const LIMIT: usize = 16 << 20;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Called with an event's name (`message` when it has none) and its data.
pub(crate) trait OnEvent<E>: FnMut(&[u8], &[u8]) -> Result<(), E> {}

impl<E, F: FnMut(&[u8], &[u8]) -> Result<(), E>> OnEvent<E> for F {}

#[derive(Default)]
pub(crate) struct Parser {
    /// A line whose end has not arrived.
    partial: Vec<u8>,
    after_return: bool,
    begun: bool,
    name: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
}

impl Parser {
    /// Take the next bytes and report each event that they complete.
    pub(crate) fn push<E: From<TooLong>>(
        &mut self,
        bytes: &[u8],
        mut on_event: impl OnEvent<E>,
    ) -> Result<(), E> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_return) {
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
                continue;
            }
            let Some((line, ending, after)) = split_line(rest) else {
                self.keep(rest)?;
                return Ok(());
            };
            rest = after;
            self.after_return = ending == b'\r';
            if self.partial.is_empty() {
                self.line(line, &mut on_event)?;
            } else {
                self.keep(line)?;
                let whole = std::mem::take(&mut self.partial);
                self.line(&whole, &mut on_event)?;
            }
        }
        Ok(())
    }

    /// The stream is over: report what was left without its closing blank line. Only for a reply that is known
    /// to be whole.
    pub(crate) fn finish<E: From<TooLong>>(&mut self, mut on_event: impl OnEvent<E>) -> Result<(), E> {
        let last = std::mem::take(&mut self.partial);
        if !last.is_empty() {
            self.line(&last, &mut on_event)?;
        }
        self.dispatch(&mut on_event)
    }

    fn keep<E: From<TooLong>>(&mut self, bytes: &[u8]) -> Result<(), E> {
        if self.partial.len() + bytes.len() > LIMIT {
            return Err(TooLong.into());
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    fn line<E: From<TooLong>>(&mut self, line: &[u8], on_event: &mut impl OnEvent<E>) -> Result<(), E> {
        let line = if self.begun { line } else { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) };
        self.begun = true;
        if line.is_empty() {
            return self.dispatch(on_event);
        }
        let (field, value) = match memchr::memchr(b':', line).and_then(|at| line.split_at_checked(at)) {
            Some((field, value)) => (field, value.strip_prefix(b":").unwrap_or(value)),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => self.add(value)?,
            b"error" => {
                self.name = b"error".to_vec();
                self.add(value)?;
            }
            b"event" => self.name = value.to_vec(),
            _ => {}
        }
        Ok(())
    }

    fn add<E: From<TooLong>>(&mut self, value: &[u8]) -> Result<(), E> {
        if self.data.len() + value.len() > LIMIT {
            return Err(TooLong.into());
        }
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
        Ok(())
    }

    fn dispatch<E>(&mut self, on_event: &mut impl OnEvent<E>) -> Result<(), E> {
        let reported = if std::mem::take(&mut self.has_data) {
            let name = if self.name.is_empty() { b"message" } else { self.name.as_slice() };
            on_event(name, &self.data)
        } else {
            Ok(())
        };
        self.name.clear();
        self.data.clear();
        reported
    }
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    let (line, rest) = bytes.split_at_checked(memchr2(b'\r', b'\n', bytes)?)?;
    let (ending, after) = rest.split_first()?;
    Some((line, *ending, after))
}

#[cfg(test)]
#[path = "sse_tests.rs"]
mod tests;
