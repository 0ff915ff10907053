//! The way of a call's events to the daemon, and the way of a cancellation to the call.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use crate::event::{Event, append};
use crate::failure::{Failure, Kind};
use crate::frame;
use crate::message::Report;
use crate::scrub::Scrubber;

/// The daemon's socket, written to by all threads, a frame at a time.
pub(crate) struct Output {
    socket: Mutex<UnixStream>,
}

impl Output {
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self { socket: Mutex::new(socket) }
    }

    pub(crate) fn send(&self, report: &Report<'_>) -> io::Result<()> {
        let bytes = serde_json::to_vec(report)?;
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        frame::write(&socket, &bytes)
    }
}

/// What the daemon's orders and a call's thread share about the call.
pub(crate) struct Call {
    ticket: u64,
    pub(crate) session: String,
    output: Arc<Output>,
    line: Mutex<Line>,
}

/// INVARIANT: once `closed`, no event of this call is sent; `done` was the last.
#[derive(Default)]
struct Line {
    closed: bool,
    socket: Option<TcpStream>,
}

impl Call {
    pub(crate) fn new(ticket: u64, session: String, output: Arc<Output>) -> Self {
        Self { ticket, session, output, line: Mutex::default() }
    }

    /// Let a cancellation cut `socket` from now on. An error when the call was already cancelled.
    pub(crate) fn admit(&self, socket: &TcpStream) -> Result<(), Failure> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if line.closed {
            return Err(Failure::new(Kind::Refused, "the call was cancelled"));
        }
        let clone = socket.try_clone();
        line.socket = Some(clone.map_err(|error| Failure::new(Kind::Network, error.to_string()))?);
        Ok(())
    }

    /// Forget the socket: it may be used for another call.
    pub(crate) fn release(&self) {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).socket = None;
    }

    /// Cut the connection and close the line with `done`.
    pub(crate) fn cancel(&self) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(socket) = line.socket.take() {
            let _ = socket.shutdown(Shutdown::Both);
        }
        self.send(&mut line, &[Event::Done]);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).closed
    }

    fn send(&self, line: &mut Line, events: &[Event]) {
        // Without a daemon the broker's main thread ends the process; nothing is left to be done here.
        if !line.closed && !events.is_empty() {
            let _ = self.output.send(&Report::Events { ticket: self.ticket, events });
            line.closed = events.last() == Some(&Event::Done);
        }
    }
}

/// The events of one call, collected until they are sent together. Dropped, it reports the end.
pub(crate) struct Emitter {
    pub(crate) call: Arc<Call>,
    scrubber: Option<Scrubber>,
    events: Vec<Event>,
    finished: bool,
}

impl Emitter {
    pub(crate) fn new(call: Arc<Call>) -> Self {
        Self { call, scrubber: None, events: Vec::new(), finished: false }
    }

    /// Keep `key` out of everything that is sent from here on.
    pub(crate) fn protect(&mut self, key: &str) {
        self.scrubber = Some(Scrubber::new(key));
    }

    pub(crate) fn events(&mut self) -> &mut Vec<Event> {
        &mut self.events
    }

    pub(crate) fn flush(&mut self) {
        if let Some(scrubber) = &mut self.scrubber {
            scrubber.clean(&mut self.events);
        }
        let mut line = self.call.line.lock().unwrap_or_else(PoisonError::into_inner);
        self.call.send(&mut line, &self.events);
        self.events.clear();
    }

    /// Report the outcome and `done`.
    pub(crate) fn finish(&mut self, outcome: Result<(), Failure>) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        if let Err(failure) = outcome {
            append(&mut self.events, Event::Error(failure));
        }
        append(&mut self.events, Event::Done);
        self.flush();
    }
}

impl Drop for Emitter {
    fn drop(&mut self) {
        // Reached unfinished only if the call's thread panicked: that is our bug, but the ticket must end.
        self.finish(Err(Failure::new(Kind::Refused, "the broker failed inside; please report this")));
    }
}
