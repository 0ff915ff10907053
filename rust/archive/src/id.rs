//! Names that follow from content: the same thing has the same name in every archive.

use sha2::{Digest, Sha256};

/// No vowels but one, no look-alikes: a name is never a word, and survives being read aloud.
const ALPHABET: [char; 32] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'j', 'k', 'm',
    'n', 'p', 'q', 'r', 's', 't', 'v', 'w', 'x', 'y', 'z',
];

/// Letters of a conversation's part of a name, and of a message's part after it (5 bits each).
pub(crate) const RECORD_LETTERS: usize = 12;
pub(crate) const MESSAGE_LETTERS: usize = 10;

/// SHA-256 over parts, each preceded by its length, so that no two lists of parts collide.
pub(crate) fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The first eight bytes of a digest: enough to tell messages of one conversation apart.
pub(crate) fn short(digest: &[u8; 32]) -> i64 {
    let mut first = [0_u8; 8];
    for (to, from) in first.iter_mut().zip(digest) {
        *to = *from;
    }
    i64::from_be_bytes(first)
}

pub(crate) fn letters(bytes: &[u8], count: usize) -> String {
    let mut text = String::with_capacity(count);
    let (mut pending, mut bits) = (0_u32, 0_u32);
    let mut bytes = bytes.iter();
    while text.len() < count {
        if bits < 5 {
            let Some(byte) = bytes.next() else { break };
            pending = (pending << 8) | u32::from(*byte);
            bits += 8;
        }
        bits -= 5;
        text.extend(ALPHABET.get(((pending >> bits) & 31) as usize));
        pending &= (1 << bits) - 1;
    }
    text
}

pub(crate) fn record_name(key: &[u8]) -> String {
    format!("c-{}", letters(key, RECORD_LETTERS))
}

pub(crate) fn message_name(record: &[u8], message: i64) -> String {
    format!("m-{}{}", letters(record, RECORD_LETTERS), letters(&message.to_be_bytes(), MESSAGE_LETTERS))
}

pub(crate) fn fact_name(key: &[u8]) -> String {
    format!("f-{}", letters(key, 16))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.extend([byte >> 4, byte & 15].iter().filter_map(|four| char::from_digit(u32::from(*four), 16)));
    }
    text
}
