//! HTTP/1.1 as a client: one request, one reply, its body by chunks, by length or until the end.
//!
//! Strict where two readers could differ: both a length and chunks, two lengths, a bare LF around chunks and
//! coded bodies are refused, so a reply never ends elsewhere than the server believes.

use std::io;
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

use crate::connection::{Connection, Patience, failure};
use crate::failure::{Failure, Kind, retry_after};
use crate::message::KeyHeader;
use crate::session::Provider;

const HEAD_LIMIT: usize = 64 << 10;
const HEADER_COUNT: usize = 128;
/// Longest line that frames a chunk, and all trailers together.
const LINE_LIMIT: usize = 8 << 10;
const READ_SIZE: usize = 64 << 10;

/// The head of a request. It holds the key, and is wiped when dropped.
pub(crate) fn request_head(
    provider: &Provider,
    target: &str,
    headers: &[(String, String)],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // Grown once: a vector that moves leaves what it held behind.
    let room = 1024 + target.len() + provider.key.len();
    let extra: usize = headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let mut head = Zeroizing::new(Vec::with_capacity(room + extra));
    let mut add = |parts: &[&str]| parts.iter().for_each(|part| head.extend_from_slice(part.as_bytes()));
    add(&["POST ", target, " HTTP/1.1\r\nHost: ", &provider.endpoint.authority(), "\r\n"]);
    add(&["User-Agent: agentos/", env!("CARGO_PKG_VERSION"), "\r\n"]);
    add(&["Content-Type: application/json\r\nAccept: text/event-stream, application/json\r\n"]);
    add(&["Accept-Encoding: identity\r\nContent-Length: ", &length.to_string(), "\r\n"]);
    let (name, scheme) = match provider.header {
        KeyHeader::None => ("", ""),
        KeyHeader::XApiKey => ("x-api-key: ", ""),
        KeyHeader::ApiKey => ("api-key: ", ""),
        KeyHeader::Bearer => ("Authorization: ", "Bearer "),
    };
    if !name.is_empty() {
        add(&[name, scheme, &provider.key, "\r\n"]);
    }
    for (name, value) in headers {
        check_header(name, value)?;
        add(&[name, ": ", value, "\r\n"]);
    }
    add(&["\r\n"]);
    Ok(head)
}

/// A caller's header must neither carry authority nor change where the request ends or goes.
fn check_header(name: &str, value: &str) -> Result<(), Failure> {
    const OURS: [&str; 15] = [
        "host",
        "authorization",
        "x-api-key",
        "api-key",
        "cookie",
        "connection",
        "content-length",
        "content-type",
        "transfer-encoding",
        "accept-encoding",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "user-agent",
    ];
    let lower = name.to_ascii_lowercase();
    let token = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let refused = OURS.contains(&lower.as_str()) || lower.starts_with("proxy-");
    if !token || refused || !value.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Err(Failure::new(
            Kind::Refused,
            format!("the header `{name}` cannot be set on a model call"),
        ));
    }
    Ok(())
}

/// What the head of a reply says.
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) keep_alive: bool,
    pub(crate) request_id: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) redirected: bool,
}

/// A reply whose head has been read.
pub(crate) struct Response {
    pub(crate) head: Head,
    body: Body,
    /// Bytes that were read and not yet decoded.
    ahead: Vec<u8>,
    buffer: Vec<u8>,
}

/// What a read of the body gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Data,
    /// The body is over. It was whole if the reply said where it ends, and it ended there.
    End {
        whole: bool,
    },
}

impl Response {
    /// Read the head of the reply, past interim ones.
    pub(crate) fn read(connection: &mut Connection, host: &str, patience: Patience) -> Result<Self, Failure> {
        let mut ahead = Vec::new();
        let mut buffer = vec![0; READ_SIZE];
        loop {
            if let Some((head, body, length)) = parse_head(&ahead)? {
                ahead.drain(..length);
                if head.status >= 200 {
                    return Ok(Self { head, body, ahead, buffer });
                }
                continue;
            }
            if ahead.len() > HEAD_LIMIT {
                return Err(garbled("its head is too long"));
            }
            let count = connection.read(&mut buffer, patience);
            match count.map_err(|error| failure(&error, host, "before its reply"))? {
                0 => return Err(failure(&io::ErrorKind::UnexpectedEof.into(), host, "before its reply")),
                count => ahead.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            }
        }
    }

    /// Read on, adding decoded bytes to `into`.
    pub(crate) fn more(
        &mut self,
        connection: &mut Connection,
        host: &str,
        patience: Patience,
        into: &mut Vec<u8>,
    ) -> Result<Progress, Failure> {
        loop {
            let before = into.len();
            let used = self.body.decode(&self.ahead, into)?;
            self.ahead.drain(..used);
            if into.len() > before {
                return Ok(Progress::Data);
            }
            if self.body.is_over() {
                return Ok(Progress::End { whole: true });
            }
            match connection.read(&mut self.buffer, patience) {
                Ok(0) => return Ok(Progress::End { whole: false }),
                Ok(count) => self.ahead.extend_from_slice(self.buffer.get(..count).unwrap_or_default()),
                Err(error) if is_loss(&error) => return Ok(Progress::End { whole: false }),
                Err(error) => return Err(failure(&error, host, "in the middle of its reply")),
            }
        }
    }

    /// Whether the connection can carry another request.
    pub(crate) fn is_reusable(&self) -> bool {
        self.head.keep_alive && self.body.is_over() && self.ahead.is_empty()
    }
}

fn is_loss(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

fn garbled(reason: &str) -> Failure {
    Failure::broken(format!("the reply is not HTTP/1.1 as it is defined: {reason}"))
}

/// The head at the beginning of `bytes`, how its body ends, and its length; None while it is incomplete.
fn parse_head(bytes: &[u8]) -> Result<Option<(Head, Body, usize)>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; HEADER_COUNT];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(garbled(&error.to_string())),
    };
    let values = |name: &str| -> Vec<&str> {
        let named = response.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        named.filter_map(|header| std::str::from_utf8(header.value).ok()).map(str::trim).collect()
    };
    let first = |name: &str| values(name).first().copied();
    let lists = |name: &str, word: &str| {
        values(name)
            .iter()
            .flat_map(|value| value.split(','))
            .any(|item| item.trim().eq_ignore_ascii_case(word))
    };
    let status = response.code.unwrap_or_default();
    if values("content-encoding").iter().any(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(garbled("its body is compressed, which was not asked for"));
    }
    let body = Body::new(status, &values("transfer-encoding"), &values("content-length"))?;
    let persistent = response.version == Some(1) || lists("connection", "keep-alive");
    let head = Head {
        status,
        keep_alive: persistent && !lists("connection", "close"),
        request_id: first("request-id").or_else(|| first("x-request-id")).map(str::to_owned),
        retry_after: retry_after(first("retry-after-ms"), first("retry-after"), SystemTime::now()),
        redirected: first("location").is_some(),
    };
    Ok(Some((head, body, length)))
}

/// Where a body ends.
#[derive(Debug)]
enum Body {
    Chunked(Chunked),
    Length(u64),
    UntilClose,
}

#[derive(Debug, Default)]
struct Chunked {
    part: Part,
    /// The line that frames a chunk, as far as it has come.
    line: Vec<u8>,
    trailers: usize,
}

#[derive(Debug, Default)]
enum Part {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailer,
    Over,
}

impl Body {
    fn new(status: u16, codings: &[&str], lengths: &[&str]) -> Result<Self, Failure> {
        if matches!(status, 100..200 | 204 | 304) {
            return Ok(Self::Length(0));
        }
        match (codings, lengths) {
            ([], []) => Ok(Self::UntilClose),
            ([], [length, rest @ ..]) => {
                let digits = length.bytes().all(|b| b.is_ascii_digit());
                let length =
                    length.parse().ok().filter(|_| digits && rest.iter().all(|other| other == length));
                length.map(Self::Length).ok_or_else(|| garbled("its length is unclear"))
            }
            ([coding], []) if coding.eq_ignore_ascii_case("chunked") => Ok(Self::Chunked(Chunked::default())),
            _ => Err(garbled("where its body ends is unclear")),
        }
    }

    fn is_over(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunked { part: Part::Over, .. }))
    }

    /// Decode what `bytes` hold of the body. Returns how many of them were used.
    fn decode(&mut self, bytes: &[u8], into: &mut Vec<u8>) -> Result<usize, Failure> {
        match self {
            Self::Chunked(chunked) => chunked.decode(bytes, into),
            Self::Length(left) => Ok(take(left, bytes, into)),
            Self::UntilClose => {
                into.extend_from_slice(bytes);
                Ok(bytes.len())
            }
        }
    }
}

fn take(left: &mut u64, bytes: &[u8], into: &mut Vec<u8>) -> usize {
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    into.extend_from_slice(bytes.get(..count).unwrap_or_default());
    *left -= count as u64;
    count
}

impl Chunked {
    fn decode(&mut self, bytes: &[u8], into: &mut Vec<u8>) -> Result<usize, Failure> {
        let mut rest = bytes;
        while !rest.is_empty() && !matches!(self.part, Part::Over) {
            if let Part::Data(left) = &mut self.part {
                let count = take(left, rest, into);
                rest = rest.get(count..).unwrap_or_default();
                if *left == 0 {
                    self.part = Part::DataEnd;
                }
                continue;
            }
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            self.line.extend_from_slice(line);
            rest = after;
            if self.line.len() > LINE_LIMIT {
                return Err(garbled("a line between its chunks is too long"));
            }
            if self.line.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                let line = line.strip_suffix(b"\r\n").ok_or_else(|| garbled("a line ends in a bare LF"))?;
                self.framing_line(line)?;
            }
        }
        Ok(bytes.len() - rest.len())
    }

    fn framing_line(&mut self, line: &[u8]) -> Result<(), Failure> {
        self.part = match self.part {
            Part::Size => match chunk_size(line).ok_or_else(|| garbled("a chunk has no size"))? {
                0 => Part::Trailer,
                size => Part::Data(size),
            },
            Part::DataEnd if line.is_empty() => Part::Size,
            Part::Trailer if line.is_empty() => Part::Over,
            Part::Trailer => {
                self.trailers += line.len();
                if self.trailers > LINE_LIMIT {
                    return Err(garbled("its trailers are too long"));
                }
                Part::Trailer
            }
            Part::DataEnd | Part::Data(_) | Part::Over => {
                return Err(garbled("a chunk is longer than its size"));
            }
        };
        Ok(())
    }
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|b| *b == b';').next()?.trim_ascii_end();
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
