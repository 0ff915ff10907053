//! Level `strict`: namespaces of its own for users, mounts, processes, network, IPC and host name.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};

use crate::command;
use crate::failure::{Event, Failure, Mechanism};
use crate::init::{self, RELAYED};
use crate::layout::{Layout, layout};
use crate::spec::LaunchSpec;
use crate::sys::process::{self, Fork};
use crate::sys::{self, security, signal};
use crate::{landlock, root};

/// The namespaces of a confined command.
pub(crate) const NAMESPACES: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS;

/// Clones pid 1 of the new namespaces, announces it and lets it go on. Returns its pid on the host, and
/// the end of the gate that keeps it alive.
pub(crate) fn start(spec: &LaunchSpec, control: &OwnedFd) -> Result<(libc::pid_t, OwnedFd), Failure> {
    landlock::version()?;
    let layout = layout(spec)?;
    let (gate, keeper) = sys::pipe().mechanism("pipe", "making the gate")?;
    // Only root may, and only root's groups reach further than the user's own.
    let _ = process::drop_groups();
    let (user, group) = process::identity();
    match process::fork(NAMESPACES)
        .mechanism("namespaces", "making user, mount, pid, network, ipc and uts namespaces")?
    {
        Fork::Parent(pid) => {
            Event::Started { init: pid }.send(control.as_fd());
            sys::open_gate(keeper.as_fd()).mechanism("pipe", "opening the gate")?;
            Ok((pid, keeper))
        }
        Fork::Child => {
            drop(keeper);
            let code = match confine(spec, &layout, user, group, control, &gate) {
                Ok(code) => code,
                Err(failure) => {
                    let code = failure.exit_code();
                    Event::Failed(failure).send(control.as_fd());
                    code
                }
            };
            process::exit_now(code)
        }
    }
}

/// Pid 1: sets everything up, starts the command and stays until it has ended. Returns what to exit with.
fn confine(
    spec: &LaunchSpec,
    layout: &Layout,
    user: libc::uid_t,
    group: libc::gid_t,
    control: &OwnedFd,
    gate: &OwnedFd,
) -> Result<u8, Failure> {
    map_identity(user, group)?;
    process::set_host_name(c"agentos").mechanism("uts namespace", "naming the host")?;
    sys::loopback_up().mechanism("network namespace", "bringing up the loopback interface")?;
    root::enter(layout)?;
    security::drop_capabilities().mechanism("capabilities", "giving up all capabilities")?;
    security::no_new_privileges().mechanism("no_new_privs", "giving up new privileges")?;
    security::not_dumpable().mechanism("dumpable", "shielding pid 1 from the command")?;
    signal::block_only(RELAYED).mechanism("signals", "blocking the relayed signals")?;
    if !sys::pass_gate(gate.as_fd()) {
        process::exit_now(125);
    }
    match process::fork(0).mechanism("fork", "starting the command")? {
        Fork::Parent(pid) => init::serve(pid, control, gate),
        Fork::Child => {
            let failure = command::become_confined(spec, layout);
            let code = failure.exit_code();
            Event::Failed(failure).send(control.as_fd());
            process::exit_now(code)
        }
    }
}

/// The user and group keep their numbers, and are the only ones there are: what the command writes
/// belongs to the user who started it.
pub(crate) fn map_identity(user: libc::uid_t, group: libc::gid_t) -> Result<(), Failure> {
    // Nesting is refused by the system call filter; this refuses it a second time, where it can.
    let _ = fs::write("/proc/sys/user/max_user_namespaces", "0");
    for (file, text) in [
        ("setgroups", "deny".to_owned()),
        ("gid_map", format!("{group} {group} 1\n")),
        ("uid_map", format!("{user} {user} 1\n")),
    ] {
        fs::write(format!("/proc/self/{file}"), text)
            .mechanism("user namespace", &format!("writing {file}"))?;
    }
    Ok(())
}
