use std::collections::BTreeMap;

use super::*;
use crate::driven::Dice;

#[test]
fn it_gives_the_least_whatever_is_moved_or_removed() {
    for seed in 0..40 {
        let (mut heap, mut dice) = (Heap::default(), Dice(seed));
        let mut slots = vec![NOWHERE; 60];
        let mut known: BTreeMap<Seat, u64> = BTreeMap::new();
        for _ in 0..600 {
            let seat = dice.roll(60) as Seat;
            if dice.roll(3) == 0 {
                heap.remove(seat, &mut slots);
                known.remove(&seat);
            } else {
                let tag = dice.roll(50);
                heap.set(tag, seat, &mut slots);
                known.insert(seat, tag);
            }
            assert_eq!(heap.first(), known.iter().map(|(seat, tag)| (*tag, *seat)).min());
            for (seat, slot) in slots.iter().enumerate() {
                let entry = heap.entries().get(*slot as usize).copied();
                assert_eq!(entry, known.get(&(seat as Seat)).map(|tag| (*tag, seat as Seat)));
            }
            assert_eq!(heap.is_empty(), known.is_empty());
        }
    }
}
