//! The messages that travel in frames: daemon to broker, broker to daemon, client to broker and back.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::reply::Wire;

/// From the daemon.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Order {
    /// A client's session begins. The frame carries the descriptor over which it sends its credentials.
    SessionOpen { session: String },
    /// The session is over: its keys are wiped, its calls cut.
    SessionClose { session: String },
    /// Perform a model call. The next frame is the request's body.
    ModelCall(ModelCall),
    /// Cut the connection of a call. Its `done` follows at once.
    Cancel { ticket: u64 },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelCall {
    pub(crate) ticket: u64,
    pub(crate) session: String,
    pub(crate) provider: String,
    /// Beneath the session's base URL, for example `/v1/messages`.
    pub(crate) path: String,
    /// Further request headers, for example `anthropic-beta`; none that carries authority or framing.
    #[serde(default)]
    pub(crate) headers: Vec<(String, String)>,
    /// What the ticket was granted for. The call is refused where the session's base URL is elsewhere.
    #[serde(default)]
    pub(crate) host: Option<String>,
    #[serde(default)]
    pub(crate) port: Option<u16>,
    #[serde(default)]
    pub(crate) timeouts: Timeouts,
}

/// Limits of one call, in milliseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Timeouts {
    /// Resolving, connecting and TLS together.
    pub(crate) connect_ms: u64,
    /// From the request to the first byte of the reply: a local model may read a long prompt first.
    pub(crate) first_byte_ms: u64,
    /// Between two reads.
    pub(crate) idle_ms: u64,
    pub(crate) total_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect_ms: 15_000, first_byte_ms: 600_000, idle_ms: 180_000, total_ms: 3_600_000 }
    }
}

impl Timeouts {
    pub(crate) fn connect(&self) -> Duration {
        Duration::from_millis(self.connect_ms)
    }

    pub(crate) fn first_byte(&self) -> Duration {
        Duration::from_millis(self.first_byte_ms)
    }

    pub(crate) fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms)
    }

    pub(crate) fn total(&self) -> Duration {
        Duration::from_millis(self.total_ms)
    }
}

/// To the daemon.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Report<'a> {
    Ready {
        version: &'static str,
    },
    /// A client's credentials have arrived: where its session's calls can go. No key is in it.
    Credentials {
        session: &'a str,
        endpoints: Vec<EndpointName>,
    },
    Events {
        ticket: u64,
        events: &'a [Event],
    },
}

/// A provider of a session, without its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct EndpointName {
    pub(crate) provider: String,
    pub(crate) wire: Wire,
    pub(crate) base_url: String,
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// From a client, over its private channel: all of its credentials, in place of those it sent before.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Submission<'a> {
    #[serde(borrow)]
    pub(crate) credentials: Vec<Submitted<'a>>,
    /// Root certificates (PEM) to trust in place of the system's.
    #[serde(borrow, default)]
    pub(crate) roots: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Submitted<'a> {
    pub(crate) provider: String,
    pub(crate) wire: Wire,
    pub(crate) base_url: String,
    pub(crate) header: KeyHeader,
    /// Borrowed from the frame, so that no copy is left behind when the frame is wiped.
    pub(crate) key: &'a str,
}

/// How the key travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum KeyHeader {
    #[serde(rename = "x-api-key")]
    XApiKey,
    #[serde(rename = "api-key")]
    ApiKey,
    /// `Authorization: Bearer KEY`.
    #[serde(rename = "bearer")]
    Bearer,
    #[serde(rename = "none")]
    None,
}

/// To the client: the answer to a submission.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Answer {
    Accepted {
        endpoints: Vec<EndpointName>,
    },
    /// Nothing of the submission was taken.
    Refused {
        message: String,
    },
}
