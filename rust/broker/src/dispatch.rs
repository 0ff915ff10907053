//! The main loop: orders in, threads out.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::call;
use crate::emitter::{Call, Emitter, Output};
use crate::frame;
use crate::message::{ModelCall, Order, Report};
use crate::session::Session;

/// A call's thread parses; it does not recurse.
const STACK_SIZE: usize = 512 << 10;

type Calls = Arc<Mutex<HashMap<u64, Arc<Call>>>>;

/// Serve the daemon until it closes its end. Returning ends the process, and all calls with it.
pub(crate) fn serve(daemon: UnixStream) -> io::Result<()> {
    let output = Arc::new(Output::new(daemon.try_clone()?));
    let mut dispatcher = Dispatcher { output, sessions: HashMap::new(), calls: Calls::default() };
    dispatcher.output.send(&Report::Ready { version: env!("CARGO_PKG_VERSION") })?;
    while let Some(frame) = frame::read(&daemon, frame::DAEMON_LIMIT)? {
        match serde_json::from_slice(&frame.bytes)? {
            Order::SessionOpen { session } => dispatcher.open(session, frame.descriptor)?,
            Order::SessionClose { session } => dispatcher.close(&session),
            Order::Cancel { ticket } => dispatcher.cancel(ticket),
            Order::ModelCall(order) => {
                let body = frame::read(&daemon, frame::DAEMON_LIMIT)?.ok_or(io::ErrorKind::UnexpectedEof)?;
                dispatcher.call(order, body)?;
            }
        }
    }
    Ok(())
}

struct Dispatcher {
    output: Arc<Output>,
    sessions: HashMap<String, Arc<Session>>,
    calls: Calls,
}

impl Dispatcher {
    fn open(&mut self, name: String, client: Option<OwnedFd>) -> io::Result<()> {
        let missing = || io::Error::new(io::ErrorKind::InvalidData, "a session came without its descriptor");
        let client = UnixStream::from(client.ok_or_else(missing)?);
        client.set_nonblocking(false)?;
        let session = Arc::new(Session::default());
        if let Some(before) = self.sessions.insert(name.clone(), Arc::clone(&session)) {
            before.clear();
        }
        let output = Arc::clone(&self.output);
        spawn(move || {
            session.listen(&client, |endpoints| {
                let _ = output.send(&Report::Credentials { session: &name, endpoints });
            });
        })
    }

    fn close(&mut self, name: &str) {
        if let Some(session) = self.sessions.remove(name) {
            session.clear();
        }
        let calls: Vec<Arc<Call>> =
            self.lock_calls().values().filter(|call| call.session == name).map(Arc::clone).collect();
        calls.iter().for_each(|call| call.cancel());
    }

    fn cancel(&self, ticket: u64) {
        let call = self.lock_calls().get(&ticket).map(Arc::clone);
        if let Some(call) = call {
            call.cancel();
        }
    }

    fn call(&self, order: ModelCall, body: frame::Frame) -> io::Result<()> {
        let provider =
            self.sessions.get(&order.session).and_then(|session| session.provider(&order.provider));
        let ticket = order.ticket;
        let call = Arc::new(Call::new(ticket, order.session.clone(), Arc::clone(&self.output)));
        let before = self.lock_calls().insert(ticket, Arc::clone(&call));
        if before.is_some_and(|before| !before.is_closed()) {
            let reason = format!("ticket {ticket} is in use by another call");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        let mut emitter = Emitter::new(Arc::clone(&call));
        let calls = Arc::clone(&self.calls);
        let ended = Arc::clone(&call);
        let begun = spawn(move || {
            call::perform(&order, &body.bytes, provider, &mut emitter);
            forget(&calls, ticket, &ended);
        });
        if begun.is_err() {
            // The emitter was dropped with the closure, and has reported the end.
            forget(&self.calls, ticket, &call);
        }
        Ok(())
    }

    fn lock_calls(&self) -> MutexGuard<'_, HashMap<u64, Arc<Call>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A ticket may by now stand for its next call.
fn forget(calls: &Calls, ticket: u64, ended: &Arc<Call>) {
    let mut calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
    if calls.get(&ticket).is_some_and(|call| Arc::ptr_eq(call, ended)) {
        calls.remove(&ticket);
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().stack_size(STACK_SIZE).spawn(work).map(drop)
}
