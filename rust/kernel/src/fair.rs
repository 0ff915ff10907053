//! Hierarchical start-time fair queueing (Goyal, Vin, Cheng 1996): a tree of scheduling groups, each with
//! the requests of its own processes and the groups below it.
//!
//! At every level the child with the smallest start tag goes next, and its tag moves on by charge / weight.
//! A group's own requests are one more child, of weight 1. INVARIANT: a level's virtual time is the start
//! tag of the child last served; who was idle, suspended, full or short of budget enters at it, and a refund
//! takes nobody below it, so nobody hoards credit or pays for its absence. A level lists only children with
//! something that may go: whoever has no room is not looked at. All tags are integers.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use agentos_abi::{PLACE, Pid, RequestId};

use crate::heap::{Heap, NOWHERE, Seat};

/// Where a request stands among those of its group: smaller goes first.
pub(crate) type Order = (u64, u64);

#[derive(Debug, PartialEq, Eq)]
struct Node {
    parent: Option<Seat>,
    weight: u64,
    /// Start tag among its siblings.
    tag: u64,
    virtual_time: u64,
    /// Groups below it with something that may go, by start tag.
    children: Heap,
    own: BTreeMap<Order, RequestId>,
    /// Start tag of its own requests among its children.
    own_tag: u64,
    /// Whether the group may hold one more ticket.
    open: bool,
}

impl Node {
    fn own_ready(&self) -> bool {
        self.open && !self.own.is_empty()
    }

    fn is_ready(&self) -> bool {
        self.own_ready() || !self.children.is_empty()
    }

    /// Its own requests have become ready.
    fn enter(&mut self) {
        self.own_tag = self.own_tag.max(self.virtual_time);
    }
}

/// Pids are slots and generations that the kernel itself hands out: nobody chooses them to collide, so
/// spreading their bits is enough.
#[derive(Default)]
struct PidHasher(u64);

impl Hasher for PidHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        let spread = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = spread ^ (spread >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The groups of one lane.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    nodes: Vec<Option<Node>>,
    /// Where each node stands among the children of the one above it.
    slots: Vec<u32>,
    free: Vec<Seat>,
    /// For look-up only.
    seats: HashMap<Pid, Seat, BuildHasherDefault<PidHasher>>,
    root: Option<Seat>,
}

impl Tree {
    pub(crate) fn knows(&self, group: Pid) -> bool {
        self.seats.contains_key(&group)
    }

    /// Makes a place for a group: its weight, the group above it, which is known already, and whether it may
    /// hold one more ticket.
    pub(crate) fn seat(&mut self, group: Pid, weight: u32, above: Option<Pid>, open: bool) {
        if self.knows(group) {
            return;
        }
        let parent = above.and_then(|above| self.seats.get(&above).copied());
        let tag = parent.and_then(|parent| self.node(parent)).map_or(0, |parent| parent.virtual_time);
        let node = Node {
            parent,
            weight: u64::from(weight.max(1)),
            tag,
            virtual_time: 0,
            children: Heap::default(),
            own: BTreeMap::new(),
            own_tag: 0,
            open,
        };
        let seat = self.free.pop().unwrap_or(self.nodes.len() as Seat);
        match self.nodes.get_mut(seat as usize) {
            Some(slot) => *slot = Some(node),
            None => {
                self.nodes.push(Some(node));
                self.slots.push(NOWHERE);
            }
        }
        self.seats.insert(group, seat);
        if parent.is_none() {
            self.root = Some(seat);
        }
    }

    /// Forgets a group that has exited: it has neither requests nor groups below it any more.
    pub(crate) fn forget(&mut self, group: Pid) {
        let Some(seat) = self.seats.remove(&group) else { return };
        let Some(node) = self.nodes.get_mut(seat as usize).and_then(Option::take) else { return };
        if let Some(parent) = node.parent {
            self.list(parent, seat, None);
        }
        self.free.push(seat);
    }

    pub(crate) fn join(&mut self, group: Pid, order: Order, request: RequestId) {
        self.change(group, |node| {
            node.own.insert(order, request);
        });
    }

    pub(crate) fn leave(&mut self, group: Pid, order: Order) {
        self.change(group, |node| {
            node.own.remove(&order);
        });
    }

    /// Whether `group` may hold one more ticket has changed.
    pub(crate) fn set_open(&mut self, group: Pid, open: bool) {
        self.change(group, |node| node.open = open);
    }

    /// The request that goes next: at every level the smallest tag, own requests first among equals.
    pub(crate) fn first(&self) -> Option<RequestId> {
        let mut node = self.node(self.root?)?;
        loop {
            match node.children.first() {
                Some((tag, _)) if node.own_ready() && node.own_tag <= tag => break,
                Some((_, child)) => node = self.node(child)?,
                None => break,
            }
        }
        if node.own_ready() { node.own.values().next().copied() } else { None }
    }

    /// Charges `group`, and every group it lies in, for one admission.
    pub(crate) fn serve(&mut self, group: Pid, charge: u64) {
        let Some(&seat) = self.seats.get(&group) else { return };
        let Some(node) = self.node_mut(seat) else { return };
        node.enter();
        node.virtual_time = node.own_tag;
        node.own_tag = node.own_tag.saturating_add(charge);
        self.climb(seat, |node, virtual_time| {
            let start = node.tag.max(*virtual_time);
            *virtual_time = start;
            node.tag = start.saturating_add(stride(charge, node.weight));
        });
    }

    /// Corrects what an admission was charged. INVARIANT: never below the virtual time.
    pub(crate) fn settle(&mut self, group: Pid, charged: u64, real: u64) {
        if charged == real {
            return;
        }
        let Some(&seat) = self.seats.get(&group) else { return };
        let corrected = |tag: u64, weight: u64, floor: u64| {
            let (back, more) = (stride(charged, weight), stride(real, weight));
            tag.max(floor).saturating_add(more).saturating_sub(back).max(floor)
        };
        if let Some(node) = self.node_mut(seat) {
            node.own_tag = corrected(node.own_tag, 1, node.virtual_time);
        }
        self.climb(seat, |node, virtual_time| {
            node.tag = corrected(node.tag, node.weight, *virtual_time);
        });
    }

    /// Applies `move_tag` to the node at `seat` and each above it, with the virtual time of the level that
    /// it stands in, and lists each where it belongs.
    fn climb(&mut self, mut seat: Seat, move_tag: impl Fn(&mut Node, &mut u64)) {
        loop {
            let Some(above) = self.node(seat).and_then(|node| node.parent) else { return };
            let Some(mut virtual_time) = self.node(above).map(|parent| parent.virtual_time) else { return };
            let Some(node) = self.node_mut(seat) else { return };
            move_tag(node, &mut virtual_time);
            let entry = node.is_ready().then_some(node.tag);
            if let Some(parent) = self.node_mut(above) {
                parent.virtual_time = virtual_time;
            }
            self.list(above, seat, entry);
            seat = above;
        }
    }

    /// Changes a group's own requests or room, and lists it, and those above it, where that makes a
    /// difference.
    fn change(&mut self, group: Pid, change: impl FnOnce(&mut Node)) {
        let Some(&seat) = self.seats.get(&group) else { return };
        let Some(node) = self.node_mut(seat) else { return };
        let before = node.own_ready();
        change(node);
        if !before && node.own_ready() {
            node.enter();
        }
        let mut at = seat;
        while let Some(above) = self.relist(at) {
            at = above;
        }
    }

    /// Lists a node at its parent, or takes it off the list; the parent, if that changed anything.
    fn relist(&mut self, seat: Seat) -> Option<Seat> {
        let node = self.node(seat)?;
        let (above, ready) = (node.parent?, node.is_ready());
        let listed = self.slots.get(seat as usize).is_some_and(|slot| *slot != NOWHERE);
        if ready == listed {
            return None;
        }
        let floor = self.node(above)?.virtual_time;
        let node = self.node_mut(seat)?;
        let entry = ready.then(|| {
            node.tag = node.tag.max(floor);
            node.tag
        });
        self.list(above, seat, entry);
        Some(above)
    }

    /// Has `above` list `seat` under a tag, or not at all.
    fn list(&mut self, above: Seat, seat: Seat, tag: Option<u64>) {
        let Some(Some(parent)) = self.nodes.get_mut(above as usize) else { return };
        match tag {
            Some(tag) => parent.children.set(tag, seat, &mut self.slots),
            None => parent.children.remove(seat, &mut self.slots),
        }
    }

    fn node(&self, seat: Seat) -> Option<&Node> {
        self.nodes.get(seat as usize)?.as_ref()
    }

    fn node_mut(&mut self, seat: Seat) -> Option<&mut Node> {
        self.nodes.get_mut(seat as usize)?.as_mut()
    }
}

/// How far a charge moves a tag. A weight beyond `PLACE` counts as `PLACE`: nobody is free of charge.
fn stride(charge: u64, weight: u64) -> u64 {
    (charge / weight.min(PLACE)).max(1)
}

#[cfg(test)]
#[path = "fair_tests.rs"]
mod tests;
