use super::{Access, Bytes, LaunchSpec, Level, is_normal};

const SPEC: &str = r#"{"level":"strict","argv":["c2g=","/w=="],"environment":[["UEFUSA==","L2Jpbg=="]],
    "folder":"L3c=","home":"L3Jvb3Q=","paths":[{"path":"L3c=","access":"read_write"}],"umask":18}"#;

fn spec() -> LaunchSpec {
    serde_json::from_str(SPEC).unwrap()
}

#[test]
fn reads_byte_strings_that_are_not_utf_8() {
    let spec = spec();
    assert_eq!(spec.level, Level::Strict);
    assert_eq!(spec.argv, [Bytes(b"sh".to_vec()), Bytes(vec![0xff])]);
    assert_eq!(spec.environment, [(Bytes(b"PATH".to_vec()), Bytes(b"/bin".to_vec()))]);
    assert_eq!(spec.paths[0].access, Access::ReadWrite);
    spec.check().unwrap();
}

#[test]
fn refuses_unknown_keys_levels_and_nul() {
    for (from, to) in [
        ("\"umask\"", "\"network\":true,\"umask\""),
        ("strict", "standard"),
        ("c2g=", "AA=="),
        ("c2g=", "sh"),
    ] {
        assert!(serde_json::from_str::<LaunchSpec>(&SPEC.replace(from, to)).is_err(), "{to}");
    }
}

#[test]
fn refuses_paths_that_are_not_normal() {
    for path in [&b"w"[..], b"", b"/w/", b"//w", b"/w/../root", b"/./w"] {
        assert!(!is_normal(path));
        let mut wrong = spec();
        wrong.paths[0].path = Bytes(path.to_vec());
        assert!(wrong.check().is_err());
    }
    for path in [&b"/"[..], b"/w", b"/w/..a/.b", b"/w/\xff"] {
        assert!(is_normal(path));
    }
}

#[test]
fn refuses_an_empty_command() {
    let mut empty = spec();
    empty.argv.clear();
    assert!(empty.check().is_err());
}
