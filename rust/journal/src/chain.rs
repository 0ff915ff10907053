//! The hash chain: each entry's hash covers its bytes as stored, its place, and everything before it.

use std::fmt;

use sha2::{Digest, Sha256};

/// A SHA-256 hash; shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What the first entry follows.
    pub const GENESIS: Hash = Hash([0; 32]);

    /// The hash of a blob: its name.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Hash {
        Hash(Sha256::digest(bytes).into())
    }

    /// The hash of entry `seq`, in format `version`, that follows an entry with hash `self`.
    ///
    /// Place and version have fixed widths, so no two different entries are hashed as the same bytes.
    #[must_use]
    pub fn next(&self, seq: u64, version: u16, bytes: &[u8]) -> Hash {
        // Ten bytes in one piece: an update costs as much as hashing so few.
        let place = (u128::from(seq) << 16 | u128::from(version)).to_be_bytes();
        let mut hasher = Sha256::new();
        hasher.update(self.0);
        hasher.update(place.get(6..).unwrap_or_default());
        hasher.update(bytes);
        Hash::from(hasher)
    }

    /// Reads a stored hash; `None` when it is not 32 bytes long.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Hash> {
        bytes.try_into().ok().map(Hash)
    }

    /// Reads 64 lower-case hexadecimal digits; `None` for anything else.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Hash> {
        fn digit(byte: u8) -> Option<u8> {
            match byte {
                b'0'..=b'9' => Some(byte - b'0'),
                b'a'..=b'f' => Some(byte - b'a' + 10),
                _ => None,
            }
        }
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let bytes: Option<Vec<u8>> =
            pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
        if rest.is_empty() { Hash::from_slice(&bytes?) } else { None }
    }

    /// The hash itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<Sha256> for Hash {
    fn from(hasher: Sha256) -> Hash {
        Hash(hasher.finalize().into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The end of the chain: the last entry's number and hash. An empty journal ends at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Head {
    pub seq: u64,
    pub hash: Hash,
}
