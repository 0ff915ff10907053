use std::path::{Path, PathBuf};

use super::*;
use crate::spec::{Bytes, Level, PathGrant};

fn spec(home: &str, grants: &[(&str, Access)], hidden: &[&str]) -> LaunchSpec {
    let bytes = |text: &str| Bytes(text.as_bytes().to_vec());
    LaunchSpec {
        level: Level::Strict,
        argv: vec![bytes("true")],
        environment: Vec::new(),
        folder: bytes("/"),
        home: bytes(home),
        paths: grants.iter().map(|(path, access)| PathGrant { path: bytes(path), access: *access }).collect(),
        hidden: hidden.iter().map(|path| bytes(path)).collect(),
        umask: 0o022,
    }
}

fn at<'a>(layout: &'a Layout, place: &str) -> Option<&'a Node> {
    let place = PathBuf::from(place);
    layout.get(&(place.components().count(), place))
}

#[test]
fn whatever_encloses_a_place_comes_before_it() {
    let grants = [("/tmp/a/b", Access::Read), ("/tmp/a", Access::ReadWrite)];
    let layout = layout(&spec("/home/me", &grants, &["/tmp/a/b/c"])).unwrap();
    let places: Vec<&PathBuf> = layout.keys().map(|(_, place)| place).collect();
    for (index, place) in places.iter().enumerate() {
        assert!(places[..index].iter().all(|earlier| !earlier.starts_with(place)), "{}", place.display());
    }
}

#[test]
fn a_grant_replaces_what_would_be_there_and_nothing_else_is_writable() {
    let layout =
        layout(&spec("/home/me", &[("/tmp", Access::Read), ("/srv/w", Access::ReadWrite)], &[])).unwrap();
    let shown = Content::Host { writable: false, device: false, required: true };
    assert_eq!(at(&layout, "/tmp"), Some(&Node { content: shown, rights: Rights::Read }));
    for ((_, place), node) in &layout {
        if let Content::Host { writable: true, device: false, .. } = node.content {
            assert_eq!(place, Path::new("/srv/w"));
        }
        if node.rights == Rights::Write {
            assert!(["/home/me", "/dev/shm", "/srv/w"].iter().any(|open| place == Path::new(open)));
        }
    }
}

#[test]
fn a_hidden_place_is_empty_and_a_grant_below_it_shows() {
    let grants = [("/srv", Access::Read), ("/srv/agentos/workspaces/u", Access::ReadWrite)];
    let layout = layout(&spec("/home/me", &grants, &["/srv/agentos"])).unwrap();
    assert!(matches!(at(&layout, "/srv/agentos").unwrap().content, Content::Private { .. }));
    assert_eq!(at(&layout, "/srv/agentos/workspaces/u").unwrap().rights, Rights::Write);
}

#[test]
fn the_root_and_kernel_file_systems_cannot_be_granted() {
    for place in ["/", "/proc", "/dev", "/proc/1", "/dev/sda"] {
        assert!(layout(&spec("/home/me", &[(place, Access::Read)], &[])).is_err(), "{place}");
    }
}

#[test]
fn secrets_of_the_host_are_not_listed() {
    let layout = layout(&spec("/home/me", &[], &[])).unwrap();
    for (_, place) in layout.keys() {
        for secret in
            ["shadow", "gshadow", "ssh", "ssl/private", "sudoers", "gitconfig", "npmrc", "environment"]
        {
            assert!(!place.starts_with(Path::new("/etc").join(secret)), "{}", place.display());
        }
        assert!(place != Path::new("/etc/ssl") && place != Path::new("/etc/pki"));
        let run = place.starts_with("/run") && place != Path::new("/run");
        assert!(!run && !place.starts_with("/mnt") && !place.starts_with("/sys"), "{}", place.display());
    }
}

#[test]
fn runtimes_are_named_one_by_one_and_their_parents_are_not() {
    for runtime in RUNTIMES.split(' ') {
        let parts = Path::new(runtime).components().count();
        assert!(parts >= 2, "{runtime} is a whole folder of the home");
        assert!(RUNTIMES.split(' ').all(|other| other == runtime || !Path::new(runtime).starts_with(other)));
    }
}
