//! TLS: which authorities are trusted, and what a failed handshake means.

use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, Error, RootCertStore};

use crate::failure::{Failure, Kind};

/// The configuration that trusts the system's authorities, read once.
pub(crate) fn system() -> Result<Arc<ClientConfig>, Failure> {
    static SYSTEM: OnceLock<Option<Arc<ClientConfig>>> = OnceLock::new();
    let load = || {
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        (added > 0).then(|| configuration(roots).ok()).flatten()
    };
    SYSTEM.get_or_init(load).clone().ok_or_else(|| {
        Failure::new(
            Kind::Tls,
            "this system has no root certificates: install its ca-certificates package or set SSL_CERT_FILE",
        )
    })
}

/// A configuration that trusts the authorities of a PEM bundle and no others.
pub(crate) fn from_pem(bundle: &str) -> Result<Arc<ClientConfig>, &'static str> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_slice_iter(bundle.as_bytes()).filter_map(Result::ok);
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err("the bundle of root certificates holds none");
    }
    configuration(roots)
}

fn configuration(roots: RootCertStore) -> Result<Arc<ClientConfig>, &'static str> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut configuration = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| "TLS cannot be set up")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(configuration))
}

/// The failure of a TLS connection to `host`.
pub(crate) fn failure(error: &Error, host: &str) -> Failure {
    let reason = match error {
        Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "its certificate is signed by an authority that is not trusted here; \
                 SSL_CERT_FILE names further ones"
                    .to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name".to_owned()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet; is the clock right?".to_owned()
            }
            CertificateError::Revoked => "its certificate was revoked".to_owned(),
            other => format!("its certificate is not valid: {other:?}"),
        },
        Error::InvalidMessage(_) => "it does not speak TLS on this port".to_owned(),
        other => other.to_string(),
    };
    Failure::new(Kind::Tls, format!("no secure connection to `{host}`: {reason}"))
}
