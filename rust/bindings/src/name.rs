//! Public names of identifiers: short digests, so that they mean nothing outside their home.

use pyo3::prelude::*;
use sha2::{Digest, Sha256};

/// Letters that are hard to confuse (Crockford's base 32, lower case).
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 12 letters are 60 bits.
const LENGTH: usize = 12;

/// `kind-xxxxxxxxxxxx`, from the home's random id, the kind and the number.
#[pyfunction]
pub(crate) fn public_name(home: &str, kind: &str, number: u64) -> String {
    let digest = Sha256::digest(format!("agentos name 1\n{home}\n{kind}\n{number}"));
    let letters = digest.iter().take(LENGTH).map(|byte| {
        let letter = ALPHABET.get(usize::from(byte % 32)).copied().unwrap_or(b'0');
        char::from(letter)
    });
    format!("{kind}-{}", letters.collect::<String>())
}

/// 128 random bits from the system, as 32 hexadecimal digits.
#[pyfunction]
pub(crate) fn random_id() -> std::io::Result<String> {
    use std::io::Read;
    let mut bytes = [0_u8; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
