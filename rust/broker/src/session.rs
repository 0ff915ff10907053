//! Sessions: whose keys these are. A key serves its own session's calls to its own base URL, and is wiped when
//! the session is closed or its client submits again.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use zeroize::Zeroizing;

use crate::connection::Pool;
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::frame;
use crate::message::{Answer, EndpointName, KeyHeader, Submission, Submitted};
use crate::reply::Wire;
use crate::tls;

const PROVIDER_LIMIT: usize = 256;

/// One credential: a key bound to the endpoint it was submitted for. Not printable, on purpose.
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) wire: Wire,
    pub(crate) endpoint: Endpoint,
    pub(crate) header: KeyHeader,
    pub(crate) key: Zeroizing<String>,
    roots: Option<Arc<ClientConfig>>,
    pub(crate) idle: Pool,
}

impl Provider {
    fn new(submitted: Submitted<'_>, roots: Option<Arc<ClientConfig>>) -> Result<Self, String> {
        let Submitted { provider: name, wire, base_url, header, key } = submitted;
        let complain = |reason: &str| format!("the credential for `{name}`: {reason}");
        let endpoint = Endpoint::parse(&base_url).map_err(&complain)?;
        if (header == KeyHeader::None) != key.is_empty() {
            return Err(complain("a key and the header it travels in go together"));
        }
        if !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(complain("the key holds a space, a line break or a letter outside ASCII"));
        }
        let key = Zeroizing::new(key.to_owned());
        Ok(Self { name, wire, endpoint, header, key, roots, idle: Pool::default() })
    }

    /// The TLS configuration for this endpoint; None where it is plain HTTP.
    pub(crate) fn tls(&self) -> Result<Option<Arc<ClientConfig>>, Failure> {
        match (self.endpoint.secure, &self.roots) {
            (false, _) => Ok(None),
            (true, Some(given)) => Ok(Some(Arc::clone(given))),
            (true, None) => tls::system().map(Some),
        }
    }

    fn endpoint_name(&self) -> EndpointName {
        EndpointName {
            provider: self.name.clone(),
            wire: self.wire,
            base_url: self.endpoint.url(),
            host: self.endpoint.host.clone(),
            port: self.endpoint.port,
        }
    }
}

/// The credentials of one client.
#[derive(Default)]
pub(crate) struct Session {
    providers: Mutex<BTreeMap<String, Arc<Provider>>>,
}

impl Session {
    pub(crate) fn provider(&self, name: &str) -> Option<Arc<Provider>> {
        self.providers.lock().unwrap_or_else(PoisonError::into_inner).get(name).map(Arc::clone)
    }

    /// Drop all keys; those of calls under way are dropped as these end.
    pub(crate) fn clear(&self) {
        self.providers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Take submissions from the client until it closes its end. `on_accepted` hears of each before the client.
    pub(crate) fn listen(&self, client: &UnixStream, on_accepted: impl Fn(Vec<EndpointName>)) {
        while let Ok(Some(frame)) = frame::read(client, frame::CLIENT_LIMIT) {
            let answer = match self.submit(&frame.bytes) {
                Ok(endpoints) => {
                    on_accepted(endpoints.clone());
                    Answer::Accepted { endpoints }
                }
                Err(message) => Answer::Refused { message },
            };
            let sent = serde_json::to_vec(&answer).map(|bytes| frame::write(client, &bytes));
            if !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
    }

    fn submit(&self, bytes: &[u8]) -> Result<Vec<EndpointName>, String> {
        // The reason that the JSON reader gives may quote the key.
        let submission: Submission<'_> = serde_json::from_slice(bytes)
            .map_err(|error| format!("the credentials cannot be read at byte {}", error.column()))?;
        if submission.credentials.len() > PROVIDER_LIMIT {
            return Err(format!("more than {PROVIDER_LIMIT} credentials"));
        }
        let roots = submission.roots.as_deref().map(tls::from_pem).transpose()?;
        let mut providers = BTreeMap::new();
        for submitted in submission.credentials {
            let provider = Provider::new(submitted, roots.clone())?;
            if let Some(twice) = providers.insert(provider.name.clone(), Arc::new(provider)) {
                return Err(format!("two credentials for `{}`", twice.name));
            }
        }
        let names = providers.values().map(|provider| provider.endpoint_name()).collect();
        *self.providers.lock().unwrap_or_else(PoisonError::into_inner) = providers;
        Ok(names)
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
