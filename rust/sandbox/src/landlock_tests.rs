use super::*;

#[test]
fn every_version_controls_what_the_one_before_did() {
    for version in 1..=KNOWN {
        assert_eq!(handled(version) & handled(version - 1), handled(version - 1));
    }
    assert_eq!(handled(1).count_ones(), 13);
    assert_eq!(handled(KNOWN).count_ones(), 16);
}

#[test]
fn only_a_write_grant_changes_folders_and_none_makes_devices() {
    let changes = REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO | MAKE_SYM | REFER;
    for rights in [Rights::Inherited, Rights::List, Rights::Read, Rights::Devices, Rights::Processes] {
        assert_eq!(rights.bits() & changes, 0, "{rights:?}");
    }
    assert_eq!(Rights::Write.bits() & changes, changes);
    for rights in [Rights::List, Rights::Read, Rights::Write, Rights::Devices, Rights::Processes] {
        assert_eq!(rights.bits() & (MAKE_CHAR | MAKE_BLOCK), 0, "{rights:?}");
    }
}
