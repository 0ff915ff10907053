//! The last steps in the process that becomes the command.

use std::ffi::CString;
use std::io;

use crate::failure::{Failure, Kind, Mechanism};
use crate::layout::Layout;
use crate::spec::LaunchSpec;
use crate::sys::{process, signal};
use crate::{root, seccomp};

/// Becomes the command of `spec` under Landlock and seccomp; returns only what went wrong.
pub(crate) fn become_confined(spec: &LaunchSpec, layout: &Layout) -> Failure {
    let confine = || -> Result<(), Failure> {
        prepare(spec)?;
        root::ruleset(layout)?.enforce()?;
        enter_folder(spec)?;
        seccomp::enforce().mechanism("seccomp", "installing the system call filter")
    };
    match confine() {
        Ok(()) => execute(spec),
        Err(failure) => failure,
    }
}

/// Becomes the command of `spec` with nothing around it; returns only what went wrong.
pub(crate) fn become_plain(spec: &LaunchSpec) -> Failure {
    match prepare(spec).and_then(|()| enter_folder(spec)) {
        Ok(()) => execute(spec),
        Err(failure) => failure,
    }
}

fn prepare(spec: &LaunchSpec) -> Result<(), Failure> {
    process::new_session().mechanism("session", "starting a session")?;
    signal::reset_all().mechanism("signals", "resetting signals")?;
    process::close_others_on_exec().mechanism("descriptors", "closing inherited descriptors")?;
    process::no_core_files().mechanism("limits", "forbidding core files")?;
    process::set_umask(spec.umask);
    Ok(())
}

fn enter_folder(spec: &LaunchSpec) -> Result<(), Failure> {
    process::change_folder(&spec.folder.c_string())
        .map_err(|error| Failure::path(spec.folder.path(), "entering the working folder", &error))
}

/// Looks the command up and executes it.
fn execute(spec: &LaunchSpec) -> Failure {
    let argv: Vec<CString> = spec.argv.iter().map(|word| word.c_string()).collect();
    let environment: Vec<CString> = spec
        .environment
        .iter()
        .map(|(key, value)| CString::new([&key.0[..], b"=", &value.0[..]].concat()).unwrap_or_default())
        .collect();
    let Some(name) = argv.first() else {
        return Failure::input("no command is given");
    };
    let mut error = io::Error::from_raw_os_error(libc::ENOENT);
    for path in candidates(spec, name) {
        let here = run(&path, &argv, &environment);
        // Keep looking past what is not there; remember the first file that is there and cannot be run.
        let absent = matches!(here.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR));
        if !absent && error.raw_os_error() == Some(libc::ENOENT) {
            error = here;
        }
    }
    let absent = error.raw_os_error() == Some(libc::ENOENT);
    let what = name.to_string_lossy().into_owned();
    Failure {
        kind: if absent { Kind::NotFound } else { Kind::CannotRun },
        message: format!("{what}: {}", if absent { "command not found".into() } else { error.to_string() }),
        what,
        errno: error.raw_os_error().unwrap_or(0),
    }
}

/// Where the command may be: as named if its name has a slash, else in each folder of `PATH`.
fn candidates(spec: &LaunchSpec, name: &CString) -> Vec<CString> {
    if name.as_bytes().contains(&b'/') {
        return vec![name.clone()];
    }
    let path = spec.environment.iter().rev().find(|(key, _)| key.0 == b"PATH");
    let path = path.map_or(&b"/usr/bin:/bin"[..], |(_, value)| &value.0);
    path.split(|byte| *byte == b':')
        .filter(|folder| !folder.is_empty() && !name.is_empty())
        .filter_map(|folder| CString::new([folder, b"/", name.as_bytes()].concat()).ok())
        .collect()
}

/// Executes `path`; a script without `#!` line goes to the shell, as every shell does it.
fn run(path: &CString, argv: &[CString], environment: &[CString]) -> io::Error {
    let error = process::execute(path, argv, environment);
    if error.raw_os_error() != Some(libc::ENOEXEC) {
        return error;
    }
    let rest = argv.iter().skip(1).cloned();
    let words: Vec<CString> = [c"sh".to_owned(), path.clone()].into_iter().chain(rest).collect();
    process::execute(c"/bin/sh", &words, environment)
}
