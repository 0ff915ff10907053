//! What to run and what it may touch. Mirrors `LaunchSpec` of `agentos.drivers.confinement`.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::{Deserialize, Deserializer};

use crate::base64;
use crate::failure::Failure;

/// A string of the host, of any bytes but NUL: base64 in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match base64::decode(&text) {
            Some(bytes) if !bytes.contains(&0) => Ok(Self(bytes)),
            _ => Err(serde::de::Error::custom("neither base64 nor free of NUL bytes")),
        }
    }
}

impl Bytes {
    /// As a path.
    #[must_use]
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// For a system call.
    pub(crate) fn c_string(&self) -> CString {
        CString::new(self.0.clone()).unwrap_or_default()
    }
}

/// How strongly a command is confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Namespaces of its own, Landlock and seccomp.
    Strict,
    /// Not confined: only its environment is emptied and its processes end with it.
    None,
}

/// What may be done below a granted path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Read and execute.
    Read,
    /// Read, execute and change.
    ReadWrite,
}

/// One path of the host that is visible at the same place inside.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathGrant {
    pub path: Bytes,
    pub access: Access,
}

/// One launch.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchSpec {
    pub level: Level,
    /// The command; the first word is looked up in the `PATH` of `environment` unless it has a slash.
    pub argv: Vec<Bytes>,
    /// The whole environment of the command.
    pub environment: Vec<(Bytes, Bytes)>,
    /// Working folder, inside.
    pub folder: Bytes,
    /// The user's home folder: an empty private folder there, with the user's runtimes read-only in it.
    pub home: Bytes,
    #[serde(default)]
    pub paths: Vec<PathGrant>,
    /// Paths that stay empty even below a granted one (unless a deeper one is granted).
    #[serde(default)]
    pub hidden: Vec<Bytes>,
    pub umask: u32,
}

impl LaunchSpec {
    /// Checks what types cannot: a command is given, and every path is absolute and of normal components.
    pub fn check(&self) -> Result<(), Failure> {
        if self.argv.is_empty() {
            return Err(Failure::input("no command is given"));
        }
        if self.umask > 0o777 {
            return Err(Failure::input(format!("the umask {:o} is not one", self.umask)));
        }
        let granted = self.paths.iter().map(|grant| &grant.path);
        for path in granted.chain(&self.hidden).chain([&self.folder, &self.home]) {
            if !is_normal(&path.0) {
                let shown = path.path().display();
                return Err(Failure::input(format!(
                    "{shown} is not an absolute path without '.', '..' or '//'"
                )));
            }
        }
        Ok(())
    }
}

/// Absolute, and no component is empty, `.` or `..`.
pub(crate) fn is_normal(path: &[u8]) -> bool {
    match path.split_first() {
        Some((b'/', [])) => true,
        Some((b'/', rest)) => {
            rest.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."))
        }
        _ => false,
    }
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;
