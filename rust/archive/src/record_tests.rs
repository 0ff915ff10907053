use super::*;

fn node(key: i64, parent: Option<i64>, time: i64) -> Node {
    Node { key, parent, time: Some(time), holds_message: true }
}

fn active(nodes: &[Node], current: Option<i64>) -> Vec<i64> {
    let mut keys: Vec<i64> = Tree::new(nodes, current).active.into_iter().collect();
    keys.sort_unstable();
    keys
}

#[test]
fn the_active_branch_is_the_way_up_from_the_current_node() {
    let nodes = [node(1, None, 1), node(2, Some(1), 2), node(3, Some(1), 9), node(4, Some(2), 3)];
    assert_eq!(active(&nodes, Some(4)), [1, 2, 4]);
    assert_eq!(active(&nodes, None), [1, 3], "newest leaf");
    assert_eq!(active(&nodes, Some(77)), [1, 3], "a dangling current node is none");
    assert_eq!(Tree::new(&nodes, None).leaves, 2);
}

#[test]
fn an_inner_node_is_no_leaf_however_new() {
    let nodes = [node(1, None, 100), node(2, Some(1), 5)];
    assert_eq!(active(&nodes, None), [1, 2]);
}

#[test]
fn cycles_and_orphans_end_the_walk() {
    let nodes = [node(1, Some(2), 1), node(2, Some(1), 2), node(3, Some(99), 3)];
    assert_eq!(active(&nodes, Some(1)), [1, 2]);
    assert_eq!(active(&nodes, None), [3]);
    assert_eq!(Tree::new(&nodes, None).parent_message(1), Some(2));
    assert_eq!(Tree::new(&nodes, None).parent_message(3), None);
}

#[test]
fn a_node_without_message_is_passed_over() {
    let hollow = Node { holds_message: false, ..node(2, Some(1), 2) };
    let tree = Tree::new(&[node(1, None, 1), hollow, node(3, Some(2), 3)], None);
    assert_eq!(tree.parent_message(3), Some(1));
}
