//! Builds the new root file system from a layout and moves this process into it.

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Mechanism};
use crate::landlock::{Rights, Ruleset};
use crate::layout::{Content, Layout, Node};
use crate::sys::mount::{self, NO_DEVICES, NO_EXECUTE, NO_SET_ID, READ_ONLY};
use crate::sys::process;

/// Parts of the process file system that speak for the whole machine. A user 0 of a user namespace owns
/// them in the eyes of the kernel, capabilities or not, so the file system itself must refuse.
const MACHINE_READ_ONLY: &[&str] = &["sys", "irq", "bus", "fs", "acpi", "scsi", "tty", "driver"];
const MACHINE_MASKED: &[&str] =
    &["kcore", "keys", "key-users", "kmsg", "sysrq-trigger", "timer_list", "sched_debug", "kallsyms"];
const MACHINE_MASKED_PAGES: &[&str] = &["kpagecount", "kpagecgroup", "kpageflags", "vmallocinfo", "mtrr"];

/// Where the new root is attached before it becomes the root. Any folder does; this one always exists.
const STAGING: &CStr = c"/usr";

/// A mount that is made and waits to be attached.
struct Prepared {
    place: PathBuf,
    tree: OwnedFd,
    folder: bool,
}

/// Builds the root and enters it. Needs mount and pid namespaces of its own, and the capabilities over
/// them; the host's `/proc` must be visible.
pub(crate) fn enter(layout: &Layout) -> Result<(), Failure> {
    let old = mount::open_path(c"/", true).mechanism("mounts", "opening the host's root")?;
    mount::make_private(old.as_fd()).mechanism("mounts", "cutting off the host's mounts")?;
    let prepared = prepare(layout)?;
    let root = memory(c"0755")?;
    let staging = mount::open_path(STAGING, true).mechanism("mounts", "opening the staging folder")?;
    mount::attach(root.as_fd(), staging.as_fd()).mechanism("mounts", "attaching the new root")?;
    process::change_folder_to(root.as_fd()).mechanism("mounts", "entering the new root")?;
    mount::enter_root().mechanism("mounts", "changing the root")?;
    place_all(layout, &prepared)?;
    restrict_processes()?;
    mount::set_attributes(root.as_fd(), READ_ONLY, false).mechanism("mounts", "making the root read-only")
}

/// Makes every mount of the layout while the host is still visible.
fn prepare(layout: &Layout) -> Result<Vec<Prepared>, Failure> {
    let mut prepared = Vec::new();
    for ((_, place), node) in layout {
        let (tree, folder) = match &node.content {
            Content::Host { writable, device, required } => {
                match host(place, *writable, *device, *required) {
                    Ok(host) => host,
                    Err(failure) if *required => return Err(failure),
                    Err(_) => continue,
                }
            }
            Content::Private { mode } => (memory(mode)?, true),
            Content::Processes => (processes()?, true),
            Content::Terminals => (terminals()?, true),
            Content::Folder | Content::File(_) | Content::Symlink(_) => continue,
        };
        prepared.push(Prepared { place: place.clone(), tree, folder });
    }
    Ok(prepared)
}

/// A copy of the host's mount at `place`. A granted (`required`) place must be reached without symbolic
/// links, so that nobody who can write above it turns the grant into another.
fn host(place: &Path, writable: bool, device: bool, required: bool) -> Result<(OwnedFd, bool), Failure> {
    let source = mount::open_path(&c_path(place), !required)
        .map_err(|error| Failure::path(place, "opening the granted path", &error))?;
    let source = File::from(source);
    let folder = source
        .metadata()
        .map_err(|error| Failure::path(place, "looking at the granted path", &error))?
        .is_dir();
    let tree = mount::clone_tree(source.as_fd())
        .map_err(|error| Failure::path(place, "binding the granted path", &error))?;
    let attributes =
        NO_SET_ID | if writable { 0 } else { READ_ONLY } | if device { NO_EXECUTE } else { NO_DEVICES };
    mount::set_attributes(tree.as_fd(), attributes, true)
        .mechanism("mounts", &format!("restricting {}", place.display()))?;
    Ok((tree, folder))
}

fn memory(mode: &CStr) -> Result<OwnedFd, Failure> {
    mount::new_filesystem(c"tmpfs", &[(c"mode", mode)], NO_SET_ID | NO_DEVICES)
        .mechanism("mounts", "making a file system in memory")
}

fn processes() -> Result<OwnedFd, Failure> {
    mount::new_filesystem(c"proc", &[], NO_SET_ID | NO_DEVICES | NO_EXECUTE)
        .mechanism("proc", "making a process file system (a container that masks parts of /proc forbids it)")
}

fn terminals() -> Result<OwnedFd, Failure> {
    let options = [(c"ptmxmode", c"0666"), (c"mode", c"0620")];
    mount::new_filesystem(c"devpts", &options, NO_SET_ID | NO_EXECUTE)
        .mechanism("mounts", "making a terminal file system")
}

/// Fills the root, from the outside in.
fn place_all(layout: &Layout, prepared: &[Prepared]) -> Result<(), Failure> {
    let mut waiting = prepared.iter().peekable();
    for ((_, place), node) in layout {
        let made = may_make(layout, place);
        if node.content.is_mount() {
            if let Some(mount) = waiting.next_if(|mount| mount.place == *place) {
                if made {
                    make_target(place, mount.folder)
                        .mechanism("mounts", &format!("making {}", place.display()))?;
                }
                attach(mount)?;
            }
        } else if made {
            make(place, &node.content).mechanism("mounts", &format!("making {}", place.display()))?;
        }
    }
    Ok(())
}

/// Whether `place` lies in a file system made here, so that something may be created. On the host's own
/// nothing ever is: a place there exists already, or the host has none.
fn may_make(layout: &Layout, place: &Path) -> bool {
    let enclosing = place.ancestors().skip(1).find_map(|above| {
        let node = layout.get(&(above.components().count(), above.to_path_buf()))?;
        node.content.is_mount().then_some(&node.content)
    });
    matches!(enclosing, None | Some(Content::Private { .. }))
}

fn make(place: &Path, content: &Content) -> io::Result<()> {
    below_existing(place, || match content {
        Content::Folder => fs::create_dir(place),
        Content::File(text) => fs::write(place, text),
        Content::Symlink(target) => symlink(target, place),
        _ => Ok(()),
    })
}

fn make_target(place: &Path, folder: bool) -> io::Result<()> {
    below_existing(place, || if folder { fs::create_dir(place) } else { File::create(place).map(drop) })
}

/// Makes something at `place`, and the folders above it where they are missing, which is rare.
fn below_existing(place: &Path, make: impl Fn() -> io::Result<()>) -> io::Result<()> {
    match (make(), place.parent()) {
        (Err(error), Some(above)) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(above)?;
            make()
        }
        (Err(error), _) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        (result, _) => result,
    }
}

fn attach(mount: &Prepared) -> Result<(), Failure> {
    let target = mount::open_path(&c_path(&mount.place), false)
        .map_err(|error| Failure::path(&mount.place, "showing", &error))?;
    mount::attach(mount.tree.as_fd(), target.as_fd())
        .mechanism("mounts", &format!("attaching {}", mount.place.display()))
}

/// Shuts the parts of `/proc` that reach beyond the namespaces.
fn restrict_processes() -> Result<(), Failure> {
    let shut = |name: &&str, over: Option<&CStr>| -> io::Result<()> {
        let place = CString::new(format!("/proc/{name}"))?;
        let target = match mount::open_path(&place, false) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let tree = match over {
            Some(over) => mount::clone_tree(mount::open_path(over, false)?.as_fd())?,
            None => mount::clone_tree(target.as_fd())?,
        };
        mount::set_attributes(tree.as_fd(), READ_ONLY, true)?;
        mount::attach(tree.as_fd(), target.as_fd())
    };
    for name in MACHINE_READ_ONLY {
        shut(name, None).mechanism("proc", &format!("making /proc/{name} read-only"))?;
    }
    for name in MACHINE_MASKED.iter().chain(MACHINE_MASKED_PAGES) {
        shut(name, Some(c"/dev/null")).mechanism("proc", &format!("masking /proc/{name}"))?;
    }
    Ok(())
}

/// The Landlock rules that go with the layout, for a process that has entered the root.
pub(crate) fn ruleset(layout: &Layout) -> Result<Ruleset, Failure> {
    let ruleset = Ruleset::new()?;
    let allow = |place: &Path, rights: Rights| -> Result<(), Failure> {
        let Ok(handle) = mount::open_path(&c_path(place), false) else {
            return Ok(());
        };
        let handle = File::from(handle);
        let folder = handle.metadata().mechanism("landlock", "looking at a granted path")?.is_dir();
        ruleset.allow(handle.as_fd(), folder, rights)
    };
    allow(Path::new("/"), Rights::List)?;
    for ((_, place), Node { content, rights }) in layout {
        if *rights != Rights::Inherited && !matches!(content, Content::Symlink(_)) {
            allow(place, *rights)?;
        }
    }
    // Not shown anywhere in the root, so without these rules `/dev/stdout` could not be opened.
    for (stream, read, write) in process::file_streams() {
        match ruleset.allow(stream, false, Rights::Stream { read, write }) {
            // A file that only the kernel mounts, such as a memfd: Landlock does not control it.
            Err(failure) if failure.errno == libc::EBADFD => {}
            other => other?,
        }
    }
    Ok(ruleset)
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}
