use super::*;

#[test]
fn a_removed_name_is_spent_and_its_slot_is_used_again() {
    let mut table = Table::default();
    assert!(table.insert((0, 1), "a"));
    assert!(table.insert((1, 1), "b"));
    assert_eq!(table.remove((0, 1)), Some("a"));
    assert_eq!(table.get((0, 1)), None);
    assert!(table.is_spent((0, 1)));
    assert_eq!(table.upcoming(0), (0, 2));
    assert_eq!(table.upcoming(1), (2, 1));
    assert!(table.insert((0, 2), "c"));
    assert_eq!(table.get((0, 2)), Some(&"c"));
    assert!(!table.is_spent((0, 2)));
    assert!(!table.is_spent((7, 1)));
}

#[test]
fn a_name_out_of_turn_is_refused() {
    let mut table = Table::default();
    assert!(!table.insert((1, 1), "a"));
    assert!(!table.insert((0, 2), "a"));
    assert_eq!(table.iter().count(), 0);
}
