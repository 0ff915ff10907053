use super::*;
use crate::driven::Dice;

/// Divisible by every weight up to 8, so that shares are exact.
const QUANTUM: u64 = 840;

fn group(number: u64) -> Pid {
    Pid(number + 1)
}

/// Groups below a root, each with requests for as long as it is driven, and what each was served.
struct Backlog {
    tree: Tree,
    weights: Vec<u64>,
    served: Vec<u64>,
    turn: u64,
}

impl Backlog {
    fn new(weights: &[u64]) -> Self {
        let mut tree = Tree::default();
        tree.seat(Pid(0), 1, None, true);
        for (number, weight) in weights.iter().enumerate() {
            tree.seat(group(number as u64), *weight as u32, Some(Pid(0)), true);
        }
        let mut backlog = Self { tree, weights: weights.to_vec(), served: vec![0; weights.len()], turn: 0 };
        (0..weights.len()).for_each(|number| backlog.join(number));
        backlog
    }

    fn join(&mut self, number: usize) {
        self.turn += 1;
        self.tree.join(group(number as u64), (0, self.turn), RequestId(number as u64 | self.turn << 32));
    }

    /// Serves whose turn it is and puts another request in.
    fn serve(&mut self, charge: u64) -> usize {
        let request = self.tree.first().expect("all have requests");
        let number = (request.0 & 0xffff_ffff) as usize;
        self.tree.leave(group(number as u64), (0, request.0 >> 32));
        self.tree.serve(group(number as u64), charge);
        self.served[number] += charge;
        self.join(number);
        number
    }

    /// INVARIANT: nobody's service for each unit of its weight is ahead of anybody's by more than its largest
    /// charge for each unit of its weight.
    fn check_lag(&self, largest: u64) {
        let least = (0..self.weights.len()).map(|at| self.served[at] / self.weights[at]).min();
        for (at, weight) in self.weights.iter().enumerate() {
            let ahead = self.served[at] / weight - least.expect("there are groups");
            assert!(ahead <= largest / weight, "group {at} of weight {weight} is {ahead} ahead");
        }
    }
}

#[test]
fn service_never_lags_by_more_than_one_largest_charge() {
    let weights: Vec<u64> = (0..64).map(|number| number % 8 + 1).collect();
    for largest in [1, 7] {
        let (mut backlog, mut dice) = (Backlog::new(&weights), Dice(largest));
        for _ in 0..20_000 {
            backlog.serve(QUANTUM * (1 + dice.roll(largest)));
            backlog.check_lag(QUANTUM * largest);
        }
    }
}

#[test]
fn shares_are_even_after_a_hundred_quanta_each() {
    let weights: Vec<u64> = (0..1_000).map(|number| number % 8 + 1).collect();
    let mut backlog = Backlog::new(&weights);
    // A part of a round more, so that the end of a round proves nothing.
    let quanta = 100 * weights.iter().sum::<u64>() + 777;
    for _ in 0..quanta {
        backlog.serve(QUANTUM);
    }
    let shares: Vec<u128> =
        weights.iter().zip(&backlog.served).map(|(weight, served)| u128::from(served / weight)).collect();
    let (sum, squares) = shares.iter().fold((0, 0), |(sum, squares), x| (sum + x, squares + x * x));
    assert!(10_000 * sum * sum >= 9_999 * shares.len() as u128 * squares, "Jain's index is below 0.9999");
    let even = u128::from(100 * QUANTUM);
    assert!(shares.iter().all(|share| share.abs_diff(even) * 100 <= even), "a share is off by over 1 %");
}

#[test]
fn nobody_waits_much_longer_than_its_share_says() {
    let weights: Vec<u64> = (0..40).map(|number| number % 8 + 1).collect();
    let (total, most) = (weights.iter().sum::<u64>(), weights.len() as u64);
    let mut backlog = Backlog::new(&weights);
    let mut last = vec![0; weights.len()];
    for now in 1..=40_000 {
        let number = backlog.serve(QUANTUM);
        // Between two of its turns every other group has its share of them, and one more at the most.
        let waited: u64 = now - last[number];
        assert!(waited <= total.div_ceil(weights[number]) + most, "{number} waited {waited}");
        last[number] = now;
    }
    assert!(last.iter().all(|at| 40_000 - at <= total + most));
}

#[test]
fn groups_within_groups_share_what_the_outer_ones_get() {
    let mut tree = Tree::default();
    let (root, outer, other) = (Pid(0), Pid(1), Pid(2));
    tree.seat(root, 1, None, true);
    tree.seat(outer, 3, Some(root), true);
    tree.seat(other, 1, Some(root), true);
    for (pid, weight) in [(3, 1), (4, 5)] {
        tree.seat(Pid(pid), weight, Some(outer), true);
    }
    let leaves = [Pid(1), Pid(2), Pid(3), Pid(4)];
    for (number, pid) in leaves.iter().enumerate() {
        for turn in 0..3_000 {
            tree.join(*pid, (0, turn), RequestId(number as u64 | turn << 32));
        }
    }
    let mut served = [0_u64; 4];
    for _ in 0..2_800 {
        let request = tree.first().expect("there are requests");
        let number = (request.0 & 0xffff_ffff) as usize;
        tree.leave(leaves[number], (0, request.0 >> 32));
        tree.serve(leaves[number], QUANTUM);
        served[number] += 1;
    }
    // Three quarters for `outer`: a seventh of them for its own requests, a seventh and five for those in it.
    let wanted: [u64; 4] = [300, 700, 300, 1_500];
    for (got, wanted) in served.iter().zip(wanted) {
        assert!(got.abs_diff(wanted) <= 2, "{served:?}");
    }
}

#[test]
fn who_was_idle_or_full_enters_at_the_virtual_time() {
    for full in [false, true] {
        let mut backlog = Backlog::new(&[1, 1]);
        if full {
            backlog.tree.set_open(group(0), false);
        } else {
            backlog.tree.leave(group(0), (0, 1));
        }
        (0..1_000).for_each(|_| assert_eq!(backlog.serve(QUANTUM), 1));
        if full {
            backlog.tree.set_open(group(0), true);
        } else {
            backlog.join(0);
        }
        let next: Vec<usize> = (0..10).map(|_| backlog.serve(QUANTUM)).collect();
        let first = next.iter().filter(|number| **number == 0).count();
        assert!((4..=6).contains(&first), "{next:?}");
    }
}

/// Charges are estimates, corrected after up to three more admissions: as in `Scheduler.tla`.
#[test]
fn refunds_stop_at_the_virtual_time() {
    let largest = 8;
    for seed in 0..20 {
        let (mut backlog, mut dice) = (Backlog::new(&[2, 1, 1, 5]), Dice(seed));
        let mut open = Vec::new();
        for _ in 0..2_000 {
            let number = backlog.serve(QUANTUM * largest);
            open.push(number);
            if open.len() > 3 {
                let number = open.remove(dice.roll(4) as usize);
                let real = QUANTUM * (1 + dice.roll(largest));
                backlog.tree.settle(group(number as u64), QUANTUM * largest, real);
            }
            let root = backlog.tree.node(0).expect("the root");
            let (floor, most) = (root.virtual_time, QUANTUM * largest);
            assert_eq!(root.children.entries().len(), 4);
            for (tag, seat) in root.children.entries() {
                let weight = backlog.tree.node(seat).expect("a group").weight;
                assert!((floor..=floor + most / weight).contains(&tag), "seed {seed}: {tag} from {floor}");
            }
        }
    }
}

#[test]
fn a_cost_beyond_the_estimate_is_charged_later() {
    let mut backlog = Backlog::new(&[1, 1]);
    assert_eq!(backlog.serve(QUANTUM), 0);
    backlog.tree.settle(group(0), QUANTUM, 6 * QUANTUM);
    let next: Vec<usize> = (0..6).map(|_| backlog.serve(QUANTUM)).collect();
    assert_eq!(next, [1, 1, 1, 1, 1, 1]);
}

#[test]
fn no_weight_is_free_of_charge() {
    assert_eq!(stride(PLACE, u64::from(u32::MAX)), 1);
    assert_eq!(stride(PLACE - 1, PLACE), 1);
}

#[test]
fn a_seat_that_is_used_again_answers_to_its_new_group_alone() {
    let mut backlog = Backlog::new(&[1]);
    backlog.tree.leave(group(0), (0, 1));
    backlog.tree.forget(group(0));
    backlog.tree.seat(group(7), 1, Some(Pid(0)), true);
    backlog.tree.settle(group(0), QUANTUM, 9 * QUANTUM);
    backlog.tree.join(group(0), (0, 1), RequestId(1));
    assert_eq!(backlog.tree.first(), None);
    backlog.tree.join(group(7), (0, 1), RequestId(2));
    assert_eq!(backlog.tree.first(), Some(RequestId(2)));
}
