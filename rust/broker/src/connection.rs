//! One connection to an endpoint, plain or TLS, with a deadline on every wait.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::endpoint::Endpoint;
use crate::failure::{Failure, Kind};
use crate::tls;

/// Servers close idle connections after five seconds and more; a request must never race with that.
const IDLE_LIFE: Duration = Duration::from_secs(4);
const IDLE_COUNT: usize = 8;

pub(crate) struct Connection {
    stream: Stream,
    /// The same socket, for its options.
    socket: TcpStream,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// How long a wait may take: `step` each, and never past `end`.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) step: Duration,
    pub(crate) end: Instant,
}

impl Patience {
    fn remaining(&self) -> io::Result<Duration> {
        let left = self.end.saturating_duration_since(Instant::now()).min(self.step);
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Connection {
    /// Connect to `endpoint` by `end`. `admit` sees the socket before anything is sent; its error ends the dial.
    pub(crate) fn dial(
        endpoint: &Endpoint,
        tls: Option<Arc<ClientConfig>>,
        end: Instant,
        admit: impl FnOnce(&TcpStream) -> Result<(), Failure>,
    ) -> Result<Self, Failure> {
        let host = endpoint.host.as_str();
        let addresses = (host, endpoint.port).to_socket_addrs();
        let addresses: Vec<SocketAddr> = addresses
            .map_err(|error| network(format!("cannot resolve the host `{host}`: {}", plain(&error))))?
            .collect();
        let socket = connect(&addresses, end).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => {
                Failure::new(Kind::Timeout, format!("no connection to {} in time", endpoint.authority()))
            }
            _ => network(format!("cannot connect to {}: {}", endpoint.authority(), plain(&error))),
        })?;
        admit(&socket)?;
        let lost = |error: io::Error| failure(&error, host, "while the connection was set up");
        socket.set_nodelay(true).map_err(lost)?;
        let stream = socket.try_clone().map_err(lost)?;
        let Some(configuration) = tls else {
            return Ok(Self { stream: Stream::Plain(stream), socket });
        };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Failure::new(Kind::Tls, format!("`{host}` is no name for a certificate")))?;
        let session =
            ClientConnection::new(configuration, name).map_err(|error| tls::failure(&error, host))?;
        let mut stream = StreamOwned::new(session, stream);
        shake_hands(&mut stream, &socket, end).map_err(lost)?;
        Ok(Self { stream: Stream::Tls(Box::new(stream)), socket })
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Read what there is, at least one byte; 0 at the end of the stream.
    pub(crate) fn read(&mut self, into: &mut [u8], patience: Patience) -> io::Result<usize> {
        loop {
            self.socket.set_read_timeout(Some(patience.remaining()?))?;
            let result = match &mut self.stream {
                Stream::Plain(stream) => stream.read(into),
                Stream::Tls(stream) => stream.read(into),
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    pub(crate) fn write_all(&mut self, mut bytes: &[u8], patience: Patience) -> io::Result<()> {
        while !bytes.is_empty() {
            self.socket.set_write_timeout(Some(patience.remaining()?))?;
            let result = match &mut self.stream {
                Stream::Plain(stream) => stream.write(bytes),
                Stream::Tls(stream) => stream.write(bytes),
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                result => bytes = bytes.get(result?..).unwrap_or_default(),
            }
        }
        match &mut self.stream {
            Stream::Plain(_) => Ok(()),
            Stream::Tls(stream) => stream.flush(),
        }
    }

    /// Whether an idle connection is still open and silent.
    fn is_quiet(&self) -> bool {
        let peeked = self.socket.set_nonblocking(true).and_then(|()| self.socket.peek(&mut [0]));
        let blocking = self.socket.set_nonblocking(false).is_ok();
        blocking && matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Stream::Tls(stream) = &mut self.stream {
            stream.conn.send_close_notify();
            let _ = self.socket.set_write_timeout(Some(Duration::from_millis(100)));
            let _ = stream.flush();
        }
        // Another handle of this socket may be waiting to cut it; the far side is told now.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// Connections of one credential that have answered whole replies and wait for the next request.
#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<Vec<(Instant, Connection)>>,
}

impl Pool {
    pub(crate) fn take(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((since, connection)) = idle.pop() {
            if since.elapsed() < IDLE_LIFE && connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    pub(crate) fn give(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(since, _)| since.elapsed() < IDLE_LIFE);
        if idle.len() < IDLE_COUNT {
            idle.push((Instant::now(), connection));
        }
    }
}

fn connect(addresses: &[SocketAddr], end: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for (tried, address) in addresses.iter().enumerate() {
        // An address that swallows packets leaves time for those after it.
        let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let share = end.saturating_duration_since(Instant::now()) / left;
        if share.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match TcpStream::connect_timeout(address, share) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn shake_hands(
    stream: &mut StreamOwned<ClientConnection, TcpStream>,
    socket: &TcpStream,
    end: Instant,
) -> io::Result<()> {
    while stream.conn.is_handshaking() {
        let wait = Patience { step: Duration::MAX, end }.remaining()?;
        socket.set_read_timeout(Some(wait))?;
        socket.set_write_timeout(Some(wait))?;
        match stream.conn.complete_io(&mut stream.sock) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => {
                result?;
            }
        }
    }
    Ok(())
}

/// What an I/O error on a connection to `host` means; `when` says what was going on.
pub(crate) fn failure(error: &io::Error, host: &str, when: &str) -> Failure {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (inner, error.kind()) {
        (Some(error), _) => tls::failure(error, host),
        (None, io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
            Failure::new(Kind::Timeout, format!("`{host}` was silent for too long {when}"))
        }
        (None, io::ErrorKind::UnexpectedEof) => network(format!("`{host}` closed the connection {when}")),
        (None, _) => network(format!("the connection to `{host}` failed {when}: {}", plain(error))),
    }
}

fn network(message: String) -> Failure {
    Failure::new(Kind::Network, message)
}

/// The system's words without Rust's: `Connection refused (os error 111)` is one fact too many.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text.to_owned(),
    }
}
