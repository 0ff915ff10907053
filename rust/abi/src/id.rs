//! Identifiers: slot index and generation packed in one integer, so that a reused slot never answers
//! to an old name.

use serde::{Deserialize, Serialize};

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// Packs a slot `index` and its `generation`.
            #[must_use]
            pub const fn new(index: u32, generation: u32) -> Self {
                Self(((generation as u64) << 32) | index as u64)
            }

            /// The slot that this name points at.
            #[must_use]
            pub const fn index(self) -> u32 {
                (self.0 & 0xffff_ffff) as u32
            }

            /// Which use of the slot this name means.
            #[must_use]
            pub const fn generation(self) -> u32 {
                (self.0 >> 32) as u32
            }
        }
    };
}

identifier!(
    /// A process of the kernel (an agent, a batch, a unit, a client session), not of the host.
    Pid
);
identifier!(
    /// A capability in a process's table. Means nothing outside the process that holds it.
    CapabilityId
);
identifier!(
    /// The right to perform one effect, now, and the duty to report its outcome.
    TicketId
);
identifier!(
    /// A request that waits for its decision.
    RequestId
);
