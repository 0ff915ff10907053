//! A slab with generations: O(1) insert, look-up and removal, and a name that is used up once its
//! occupant is gone. Slots are handed out in a fixed order, so the next name is known before the entry
//! that takes it is written.

/// One slot: which use it is at, and its occupant.
#[derive(Debug, PartialEq, Eq)]
struct Slot<T> {
    generation: u32,
    occupant: Option<T>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table<T> {
    slots: Vec<Slot<T>>,
    /// Free slots; the last one is the next to be used.
    free: Vec<u32>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Table<T> {
    /// The name, as (index, generation), that the `nth` insertion from now will get (0: the next one).
    pub(crate) fn upcoming(&self, nth: usize) -> (u32, u32) {
        let from_free = self.free.len().checked_sub(nth + 1).and_then(|at| self.free.get(at));
        match from_free {
            Some(&index) => (index, self.generation(index)),
            None => ((self.slots.len() + nth - self.free.len()) as u32, 1),
        }
    }

    /// Puts `occupant` under the next name. Returns false, and changes nothing, if that name is not the
    /// given one: the journal and the state would disagree.
    #[must_use]
    pub(crate) fn insert(&mut self, name: (u32, u32), occupant: T) -> bool {
        if self.upcoming(0) != name {
            return false;
        }
        if self.free.pop().is_some() {
            if let Some(slot) = self.slots.get_mut(name.0 as usize) {
                slot.occupant = Some(occupant);
            }
        } else {
            self.slots.push(Slot { generation: 1, occupant: Some(occupant) });
        }
        true
    }

    pub(crate) fn get(&self, name: (u32, u32)) -> Option<&T> {
        self.slots.get(name.0 as usize).filter(|slot| slot.generation == name.1)?.occupant.as_ref()
    }

    pub(crate) fn get_mut(&mut self, name: (u32, u32)) -> Option<&mut T> {
        self.slots.get_mut(name.0 as usize).filter(|slot| slot.generation == name.1)?.occupant.as_mut()
    }

    /// Whether `name` was handed out once and is used up.
    pub(crate) fn is_spent(&self, name: (u32, u32)) -> bool {
        name.1 > 0 && name.1 < self.generation(name.0)
    }

    pub(crate) fn remove(&mut self, name: (u32, u32)) -> Option<T> {
        let slot = self.slots.get_mut(name.0 as usize).filter(|slot| slot.generation == name.1)?;
        let occupant = slot.occupant.take()?;
        // A slot whose generations are used up is retired rather than wrapped.
        if let Some(next) = slot.generation.checked_add(1) {
            slot.generation = next;
            self.free.push(name.0);
        }
        Some(occupant)
    }

    /// All occupants in the order of their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = ((u32, u32), &T)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            slot.occupant.as_ref().map(|occupant| ((index as u32, slot.generation), occupant))
        })
    }

    fn generation(&self, index: u32) -> u32 {
        self.slots.get(index as usize).map_or(1, |slot| slot.generation)
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
