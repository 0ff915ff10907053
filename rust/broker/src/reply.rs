//! The body of a reply, whatever its wire format and whether it came as a stream or as one document.

use serde::{Deserialize, Serialize};

use crate::anthropic::Anthropic;
use crate::event::Event;
use crate::failure::{Failure, Kind};
use crate::openai::OpenAi;
use crate::sse;

/// Largest reply, in bytes as they travel.
const LIMIT: usize = 64 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wire {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI chat completions.
    Openai,
}

pub struct Reply {
    format: Format,
    shape: Shape,
    size: usize,
    complete: bool,
}

enum Format {
    Anthropic(Anthropic),
    OpenAi(OpenAi),
}

/// Servers that know no streaming answer one document, some under the content type of a stream and the other
/// way round: the first byte tells.
enum Shape {
    Unknown,
    Stream(sse::Parser),
    Document(Vec<u8>),
}

impl Reply {
    pub fn new(wire: Wire) -> Self {
        let format = match wire {
            Wire::Anthropic => Format::Anthropic(Anthropic::default()),
            Wire::Openai => Format::OpenAi(OpenAi::default()),
        };
        Self { format, shape: Shape::Unknown, size: 0, complete: false }
    }

    /// The stream's terminator has come: `stop` has been reported, and what follows is ignored.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Take the next bytes and add the events that they complete.
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), Failure> {
        self.size += bytes.len();
        if self.size > LIMIT {
            return Err(Failure::broken(format!("the reply is over the limit of {LIMIT} bytes")));
        }
        if matches!(self.shape, Shape::Unknown) {
            match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
                None => return Ok(()),
                Some(b'{' | b'[') => self.shape = Shape::Document(Vec::new()),
                Some(b'<') => {
                    return Err(Failure::new(Kind::NoModel, "a web page answered, no model server"));
                }
                Some(_) => self.shape = Shape::Stream(sse::Parser::default()),
            }
        }
        let (format, complete) = (&mut self.format, &mut self.complete);
        match &mut self.shape {
            Shape::Unknown => Ok(()),
            Shape::Document(document) => {
                document.extend_from_slice(bytes);
                Ok(())
            }
            Shape::Stream(parser) => {
                parser.push(bytes, |name: &[u8], data: &[u8]| format.event(name, data, events, complete))
            }
        }
    }

    /// HTTP says that the body is over, and it was whole if `whole`. An error unless the reply was complete.
    pub fn end(&mut self, whole: bool, events: &mut Vec<Event>) -> Result<(), Failure> {
        if self.complete {
            return Ok(());
        }
        if !whole {
            return Err(Failure::broken("the connection was lost in the middle of the reply"));
        }
        let (format, complete) = (&mut self.format, &mut self.complete);
        match &mut self.shape {
            Shape::Unknown => return Err(Failure::broken("the reply is empty")),
            Shape::Document(document) => {
                match format {
                    Format::Anthropic(format) => format.document(document, events)?,
                    Format::OpenAi(format) => format.document(document, events)?,
                }
                self.complete = true;
                return Ok(());
            }
            Shape::Stream(parser) => {
                parser.finish(|name: &[u8], data: &[u8]| format.event(name, data, events, complete))?
            }
        }
        match &mut self.format {
            _ if self.complete => Ok(()),
            Format::Anthropic(_) => Err(Failure::broken("the reply ended before message_stop")),
            // Servers exist that leave [DONE] out; the finish reason and a whole body say as much.
            Format::OpenAi(format) => format.end(events),
        }
    }
}

impl Format {
    fn event(
        &mut self,
        name: &[u8],
        data: &[u8],
        events: &mut Vec<Event>,
        complete: &mut bool,
    ) -> Result<(), Failure> {
        if !*complete {
            *complete = match self {
                Self::Anthropic(format) => format.event(name, data, events)?,
                Self::OpenAi(format) => format.event(name, data, events)?,
            };
        }
        Ok(())
    }
}

impl From<sse::TooLong> for Failure {
    fn from(_: sse::TooLong) -> Self {
        Self::broken("the reply holds an event that is too long")
    }
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
