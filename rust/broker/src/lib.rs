//! The AgentOS broker: the one process through which traffic leaves for the network.
//!
//! The daemon starts it as `agentos-runner broker` with an empty environment and its end of a Unix socketpair
//! as standard input; that socket is the broker's whole authority, and its end is the broker's end. Over it
//! travel [`frame`]s: orders in ([`message`]), normalised [`event`]s out.
//!
//! Provider keys never pass the daemon. It hands over, by descriptor, one end of a socketpair whose other end
//! its client holds; over that private channel the client sends its credentials ([`session`]). A key is kept
//! with the one base URL it was submitted for and is sent nowhere else ([`endpoint`]).
//!
//! One thread a call: [`call`] dials ([`connection`]), speaks HTTP/1.1 ([`http`]), splits the event stream
//! ([`sse`]) and turns either wire format ([`anthropic`], [`openai`]) into the same events.

mod anthropic;
mod call;
mod connection;
mod dispatch;
mod emitter;
mod endpoint;
pub mod event;
pub mod failure;
mod frame;
mod http;
mod message;
mod openai;
pub mod reply;
mod scrub;
mod session;
mod sse;
mod text;
mod tls;

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

/// Run the broker until the daemon's socket closes. `arguments` are those after the verb; there are none.
///
/// Exits 0 when the daemon has gone, 2 when it was not started by a daemon, 1 when the socket failed.
pub fn main(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    if let Err(reason) = harden() {
        eprintln!("agentos-runner broker: cannot protect its memory: {reason}");
        return ExitCode::FAILURE;
    }
    let daemon = match daemon_socket(arguments.into_iter().next().is_some()) {
        Ok(socket) => socket,
        Err(reason) => {
            eprintln!("agentos-runner broker: {reason}; it is started by the AgentOS daemon, not by hand");
            return ExitCode::from(2);
        }
    };
    match dispatch::serve(daemon) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("agentos-runner broker: the socket to the daemon failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Keys live in this memory: no core dump, no tracer of the same user, no `/proc/PID/mem`.
fn harden() -> std::io::Result<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}

fn daemon_socket(has_arguments: bool) -> Result<UnixStream, &'static str> {
    if has_arguments {
        return Err("it takes no arguments");
    }
    // Whatever the environment holds (proxies, certificate files, keys) is not the broker's business.
    if std::env::vars_os().next().is_some() {
        return Err("its environment is not empty");
    }
    let fd = std::io::stdin().as_fd().try_clone_to_owned().map_err(|_| "standard input is closed")?;
    match rustix::net::sockopt::socket_domain(&fd) {
        Ok(rustix::net::AddressFamily::UNIX) => {}
        _ => return Err("standard input is not a Unix socket"),
    }
    let socket = UnixStream::from(fd);
    socket.set_nonblocking(false).map_err(|_| "standard input cannot be read")?;
    Ok(socket)
}
