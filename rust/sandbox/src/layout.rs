//! What the new root shows and where: the host's programs read-only, a listed part of `/etc`, the user's
//! runtimes one by one, private places for everything else, and the granted paths.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::landlock::Rights;
use crate::spec::{Access, LaunchSpec};

/// Folders of the host's root that hold its programs; one that is a symbolic link stays one.
const PROGRAMS: &[&str] = &["bin", "sbin", "usr", "opt"];

/// The part of `/etc` that programs need to start, to know names and time zones and to trust the usual
/// certificate authorities. Nothing with passwords, keys or tokens: no `shadow`, `ssh`, `ssl/private`,
/// `environment`, `gitconfig`, `npmrc`, `pip.conf`, `netrc`.
const SETTINGS: &str = "\
    ld.so.cache ld.so.conf ld.so.conf.d ld.so.preload passwd group nsswitch.conf host.conf gai.conf \
    protocols services networks shells alternatives localtime timezone locale.alias locale.conf \
    locale.gen os-release lsb-release debian_version redhat-release fedora-release alpine-release \
    system-release ssl/certs ssl/openssl.cnf ssl/cert.pem ca-certificates ca-certificates.conf \
    pki/tls/certs pki/tls/cert.pem pki/tls/openssl.cnf pki/ca-trust/extracted pki/java \
    crypto-policies mime.types magic magic.mime terminfo inputrc profile bash.bashrc \
    bashrc fonts xml sgml perl texmf emacs vim gdb maven/m2.conf maven/logging debuginfod \
    bash_completion.d zsh fish";
/// Beginnings of names in `/etc`: versions follow.
const SETTINGS_OF_RUNTIMES: &[&str] = &["java", "python", "ld-musl"];

/// The user's runtimes below the home folder. Never their parents, which hold tokens (`.cargo/credentials`,
/// uv's `credentials`) and settings.
const RUNTIMES: &str = "\
    .cargo/bin .cargo/registry .rustup/toolchains .rustup/settings.toml .pyenv/bin .pyenv/libexec \
    .pyenv/completions .pyenv/plugins .pyenv/pyenv.d .pyenv/shims .pyenv/version .pyenv/versions \
    .nvm/versions .nvm/alias .local/bin .local/share/uv/python .local/share/uv/tools \
    .local/share/pipx/venvs .local/share/pipx/shared .local/pipx/venvs .local/pipx/shared \
    .local/share/mise/installs .local/share/mise/shims .conda/envs micromamba/envs";
/// Installations of conda, and what of each is needed to run it.
const CONDAS: &[&str] = &["miniconda3", "anaconda3", "miniforge3", "mambaforge"];
const CONDA_PARTS: &str = "\
    bin condabin conda-meta envs etc include lib libexec sbin shell share ssl";

const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];

const HOSTS: &str = "127.0.0.1\tlocalhost agentos\n::1\tlocalhost ip6-localhost\n";

/// What is at a place of the new root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// An empty folder of the root.
    Folder,
    File(&'static str),
    Symlink(PathBuf),
    /// The same place of the host. A `required` one that cannot be had is an error.
    Host {
        writable: bool,
        device: bool,
        required: bool,
    },
    /// An empty file system in memory.
    Private {
        mode: &'static std::ffi::CStr,
    },
    /// The process file system of the new pid namespace.
    Processes,
    /// Pseudo-terminals of its own.
    Terminals,
}

impl Content {
    /// Whether something is mounted there, rather than made in the file system above it.
    pub(crate) fn is_mount(&self) -> bool {
        !matches!(self, Self::Folder | Self::File(_) | Self::Symlink(_))
    }
}

/// One place of the new root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) content: Content,
    pub(crate) rights: Rights,
}

/// Places by depth and name, so that whatever encloses a place comes before it. One entry a place: a
/// later one replaces an earlier one.
pub(crate) type Layout = BTreeMap<(usize, PathBuf), Node>;

/// The layout that `spec` asks for on this host.
pub(crate) fn layout(spec: &LaunchSpec) -> Result<Layout, Failure> {
    let mut layout = Layout::new();
    programs(&mut layout);
    settings(&mut layout);
    private(&mut layout);
    home(&mut layout, spec.home.path());
    granted(&mut layout, spec)?;
    Ok(layout)
}

fn put(layout: &mut Layout, place: impl Into<PathBuf>, content: Content, rights: Rights) {
    let place = place.into();
    layout.insert((place.components().count(), place), Node { content, rights });
}

/// Shows a place of the host as it is: a symbolic link as one, anything else read-only.
fn show(layout: &mut Layout, place: PathBuf, rights: Rights) {
    let content = match fs::symlink_metadata(&place) {
        Ok(metadata) if metadata.is_symlink() => match fs::read_link(&place) {
            Ok(target) => Content::Symlink(target),
            Err(_) => return,
        },
        Ok(_) => Content::Host { writable: false, device: false, required: false },
        Err(_) => return,
    };
    put(layout, place, content, rights);
}

fn names(folder: &Path) -> Vec<std::ffi::OsString> {
    fs::read_dir(folder)
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect())
        .unwrap_or_default()
}

fn programs(layout: &mut Layout) {
    for name in names(Path::new("/")) {
        // /lib, /lib64, /lib32, /libx32
        if PROGRAMS.iter().any(|program| name == *program) || name.as_bytes().starts_with(b"lib") {
            show(layout, Path::new("/").join(name), Rights::Read);
        }
    }
}

fn settings(layout: &mut Layout) {
    let etc = Path::new("/etc");
    put(layout, etc, Content::Folder, Rights::Read);
    for name in SETTINGS.split(' ') {
        show(layout, etc.join(name), Rights::Inherited);
    }
    for name in names(etc) {
        let of_runtime = |prefix: &&str| name.as_bytes().starts_with(prefix.as_bytes());
        if SETTINGS_OF_RUNTIMES.iter().any(of_runtime) {
            show(layout, etc.join(name), Rights::Inherited);
        }
    }
    put(layout, "/etc/hosts", Content::File(HOSTS), Rights::Inherited);
    put(layout, "/etc/hostname", Content::File("agentos\n"), Rights::Inherited);
    put(layout, "/etc/resolv.conf", Content::File(""), Rights::Inherited);
    put(layout, "/etc/mtab", Content::Symlink("/proc/self/mounts".into()), Rights::Inherited);
}

fn private(layout: &mut Layout) {
    put(layout, "/tmp", Content::Private { mode: c"1777" }, Rights::Write);
    put(layout, "/var", Content::Folder, Rights::Inherited);
    put(layout, "/var/tmp", Content::Symlink("/tmp".into()), Rights::Inherited);
    put(layout, "/run", Content::Folder, Rights::Inherited);
    put(layout, "/proc", Content::Processes, Rights::Processes);
    put(layout, "/dev", Content::Folder, Rights::Devices);
    for device in DEVICES {
        let place = Path::new("/dev").join(device);
        if place.exists() {
            let content = Content::Host { writable: true, device: true, required: false };
            put(layout, place, content, Rights::Inherited);
        }
    }
    put(layout, "/dev/pts", Content::Terminals, Rights::Inherited);
    put(layout, "/dev/shm", Content::Private { mode: c"1777" }, Rights::Write);
    for (name, target) in [
        ("/dev/ptmx", "pts/ptmx"),
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
    ] {
        put(layout, name, Content::Symlink(target.into()), Rights::Inherited);
    }
}

fn home(layout: &mut Layout, home: &Path) {
    put(layout, home, Content::Private { mode: c"0700" }, Rights::Write);
    for runtime in RUNTIMES.split(' ') {
        show(layout, home.join(runtime), Rights::Inherited);
    }
    for conda in CONDAS {
        for part in CONDA_PARTS.split(' ') {
            show(layout, home.join(conda).join(part), Rights::Inherited);
        }
    }
}

fn granted(layout: &mut Layout, spec: &LaunchSpec) -> Result<(), Failure> {
    for grant in &spec.paths {
        let path = grant.path.path();
        let devices = path.starts_with("/dev") && path.parent() != Some(Path::new("/dev/shm"));
        if path == Path::new("/") || path.starts_with("/proc") || devices {
            let shown = path.display();
            let message =
                format!("{shown} cannot be granted: the confinement has its own; name other folders");
            return Err(Failure::input(message));
        }
        if path.starts_with(spec.home.path()) {
            // The user's own word on a part of the home goes before ours: runtimes in it are as it says.
            layout.retain(|(_, place), _| place == path || !place.starts_with(path));
        }
    }
    for hidden in &spec.hidden {
        put(layout, hidden.path(), Content::Private { mode: c"0555" }, Rights::Inherited);
    }
    for grant in &spec.paths {
        let writable = grant.access == Access::ReadWrite;
        let content = Content::Host { writable, device: false, required: true };
        let rights = if writable { Rights::Write } else { Rights::Read };
        put(layout, grant.path.path(), content, rights);
    }
    Ok(())
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
