//! The children of one level by start tag: a heap whose entries can be moved and removed from the middle.
//!
//! The slots are kept outside, in one dense table. A `BTreeSet` would do the same with less code, at a
//! half more time where a child is taken from the front and put back further on.

/// A group's node in its tree.
pub(crate) type Seat = u32;
/// What `slots` says of a seat that no heap holds.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// Start tag and seat in one number: the least goes first, and the older seat among equals.
type Entry = u128;

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Heap {
    entries: Vec<Entry>,
}

impl Heap {
    pub(crate) fn first(&self) -> Option<(u64, Seat)> {
        self.entries.first().map(|entry| unpacked(*entry))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Puts `seat` where its tag belongs, whether it was in the heap or not. `slots` holds, for each seat of
    /// the tree, its position in the one heap that it can be in.
    pub(crate) fn set(&mut self, tag: u64, seat: Seat, slots: &mut [u32]) {
        let slot = slots.get(seat as usize).map_or(NOWHERE, |slot| *slot);
        let at = if slot == NOWHERE {
            self.entries.push(packed(tag, seat));
            self.entries.len() - 1
        } else {
            slot as usize
        };
        self.settle(at, packed(tag, seat), slots);
    }

    pub(crate) fn remove(&mut self, seat: Seat, slots: &mut [u32]) {
        let Some(slot) = slots.get_mut(seat as usize).filter(|slot| **slot != NOWHERE) else { return };
        let at = *slot as usize;
        *slot = NOWHERE;
        let Some(last) = self.entries.pop() else { return };
        if at < self.entries.len() {
            self.settle(at, last, slots);
        }
    }

    /// Moves `entry` up or down from the free position `at` to where it belongs. Down to a leaf first, and
    /// up from there: most entries come from the front and belong far down, and on that way there is nothing
    /// for the processor to guess.
    fn settle(&mut self, mut at: usize, entry: Entry, slots: &mut [u32]) {
        while let Some(left) = self.entries.get(2 * at + 1) {
            let right = self.entries.get(2 * at + 2).unwrap_or(left);
            let below = 2 * at + 1 + usize::from(right < left);
            let least = *right.min(left);
            self.put(at, least, slots);
            at = below;
        }
        while let Some(above) = at.checked_sub(1).map(|at| at / 2)
            && let Some(parent) = self.entries.get(above).filter(|parent| **parent > entry)
        {
            self.put(at, *parent, slots);
            at = above;
        }
        self.put(at, entry, slots);
    }

    fn put(&mut self, at: usize, entry: Entry, slots: &mut [u32]) {
        if let Some(place) = self.entries.get_mut(at) {
            *place = entry;
        }
        if let Some(slot) = slots.get_mut(unpacked(entry).1 as usize) {
            *slot = at as u32;
        }
    }

    #[cfg(test)]
    pub(crate) fn entries(&self) -> Vec<(u64, Seat)> {
        self.entries.iter().map(|entry| unpacked(*entry)).collect()
    }
}

fn packed(tag: u64, seat: Seat) -> Entry {
    (u128::from(tag) << 32) | u128::from(seat)
}

fn unpacked(entry: Entry) -> (u64, Seat) {
    ((entry >> 32) as u64, entry as Seat)
}

#[cfg(test)]
#[path = "heap_tests.rs"]
mod tests;
