//! What fits an entry of the journal. INVARIANT: no fact is applied that the journal would refuse; so whatever
//! can be long is measured when it is decided, and what follows of it later finds the room kept for it.

use agentos_abi::{Fact, Refusal, Stage, entry::ENTRY_BYTES, length::json_bytes};

use crate::request::refusal;

/// The rest of an entry: when it was written.
const STAMP_BYTES: usize = 32;
/// What a request in the queue leaves free: the reason why it is refused in the end, or put to a person.
const REASON_BYTES: usize = 1_100;
/// How much of something a refusal shows.
const SHOWN_BYTES: usize = 240;

/// Why `fact` cannot be an entry, if it cannot.
pub(crate) fn too_long(fact: &Fact) -> Option<Refusal> {
    let kept = match fact {
        Fact::Queued { question: None, .. } => REASON_BYTES,
        Fact::Queued { .. } => REASON_BYTES / 2,
        _ => 0,
    };
    let (bytes, most) = (json_bytes(fact), ENTRY_BYTES - STAMP_BYTES - kept);
    (bytes > most).then(|| {
        let message =
            format!("its entry would take {bytes} bytes of the journal; at most {most} fit: name less");
        refusal(Stage::Ticket, "size", message)
    })
}

/// The beginning of `text`, as much as a refusal shows.
pub(crate) fn shown(text: &str) -> String {
    let mut bytes = 0;
    let fits = |letter: &char| {
        bytes += json_bytes(letter) - 2;
        bytes <= SHOWN_BYTES
    };
    text.chars().take_while(fits).collect()
}
