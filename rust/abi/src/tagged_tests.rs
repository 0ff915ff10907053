use serde_json::{from_str, to_string};

use crate::{Action, Call, Entry, Fact, Pid, RequestId, Rights, Scope};

#[test]
fn an_entry_is_one_flat_object_with_its_time_and_type_first() {
    let action = Action::Read { path: "/a".to_owned() };
    let fact = Fact::Passed { pid: Pid(7), action, by: Vec::new(), moves: Vec::new() };
    let entry = Entry { at_us: 12, fact };
    let text = r#"{"at_us":12,"type":"passed","pid":7,"action":{"type":"read","path":"/a"},"by":[]}"#;
    assert_eq!(to_string(&entry).expect("writes"), text);
    assert_eq!(from_str::<Entry>(text).expect("reads"), entry);
}

#[test]
fn a_variant_without_fields_is_its_tag_alone() {
    assert_eq!(to_string(&Call::Tick).expect("writes"), r#"{"type":"tick"}"#);
    assert_eq!(from_str::<Call>(r#"{"type":"tick"}"#).expect("reads"), Call::Tick);
    assert_eq!(to_string(&Scope::Exec).expect("writes"), r#"{"type":"exec"}"#);
}

#[test]
fn a_released_entry_may_have_fields_that_are_no_longer_known() {
    let read: Entry = from_str(r#"{"at_us":1,"type":"withdrawn","request":4,"once":true}"#).expect("reads");
    assert_eq!(read.fact, Fact::Withdrawn { request: RequestId(4) });
}

#[test]
fn what_is_wrong_is_named() {
    let wrong = |text: &str| from_str::<Action>(text).expect_err(text).to_string();
    assert!(
        wrong(r#"{"path":"/a","type":"read"}"#).contains(r#"string "path", expected the field `type` here"#)
    );
    assert!(wrong("{}").contains("missing field `type`"));
    assert!(wrong(r#"{"type":"reed","path":"/a"}"#).contains("unknown variant `reed`"));
    assert!(wrong(r#"{"type":"read"}"#).contains("missing field `path`"));
    assert!(wrong(r#"{"type":"read","path":"/a","mode":1}"#).contains("unknown field `mode`"));
    assert!(wrong(r#"{"type":"read","path":"/a","path":"/b"}"#).contains("duplicate field `path`"));
    assert!(wrong(r#"{"type":"endorse","path":"/a"}"#).contains("unknown field `path`"));
    assert!(wrong(r#""read""#).contains("expected an object whose first field is its `type`"));
    let late = from_str::<Entry>(r#"{"type":"withdrawn","at_us":1,"request":4}"#).expect_err("out of order");
    assert!(late.to_string().contains("expected the field `at_us` here"));
}

#[test]
fn nested_scopes_and_lists_are_read_in_place() {
    let action = Action::Exec {
        command: "c".to_owned(),
        mandate: vec![Scope::Everything, Scope::Path { path: "/w".to_owned(), rights: Rights::ReadWrite }],
    };
    let text = to_string(&action).expect("writes");
    assert_eq!(from_str::<Action>(&text).expect("reads"), action);
}
