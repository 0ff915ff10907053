//! The system calls that a confined command does not get: a deny-list, as a classic BPF program.
//!
//! It closes what namespaces and Landlock leave open: making namespaces and mounts of one's own,
//! interfaces that go around the checks (io_uring, keyrings), wide kernel surface that no tool chain
//! needs, and socket families that a network namespace does not isolate (vsock) or that only widen it.

use std::io;

use libc::{c_long, sock_filter};

use crate::sys::security;

#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0xC000_00B7;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("confinement is written for x86-64 and arm64");

/// Bit of a system call number by which x86-64 selects its x32 table.
const X32: u32 = 0x4000_0000;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const IF_BITS: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
/// Offset of the low half of an argument; both architectures are little-endian, and the kernel takes
/// the arguments looked at here as 32-bit values.
const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const fn errno(number: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | number.cast_unsigned()
}

/// Flags of `clone` and `unshare` that make namespaces.
const NEW_NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET)
    .cast_unsigned();
/// `CLONE_NEWTIME`: only for `unshare`, since in `clone` these bits are the exit signal.
const NEW_TIME: u32 = 0x80;

/// Refused with `EPERM`, as to an unprivileged user.
const DENIED: &[c_long] = &[
    // Namespaces and mounts. 428 to 442 and 467 are the mount calls that have numbers of their own.
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    428,
    429,
    430,
    431,
    432,
    433,
    442,
    467,
    // Keyrings are per user, not per namespace.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Kernel surface and machine-wide state.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_fanotify_init,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    443, // quotactl_fd
];

/// Refused with `ENOSYS`, so that a program takes its other way.
const ABSENT: &[c_long] = &[
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // Its flags are in memory, which a filter cannot read; the C library falls back to `clone`.
    libc::SYS_clone3,
];

/// What only one architecture has.
#[cfg(target_arch = "x86_64")]
const DENIED_HERE: &[c_long] = &[
    libc::SYS_kexec_file_load,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
    libc::SYS__sysctl,
];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_HERE: &[c_long] = &[294]; // kexec_file_load

/// Internet protocols: any, ICMP, TCP, UDP, ICMPv6. Others load modules, and MPTCP goes around rules on TCP.
const PROTOCOLS: &[i32] =
    &[0, libc::IPPROTO_ICMP, libc::IPPROTO_TCP, libc::IPPROTO_UDP, libc::IPPROTO_ICMPV6];

/// Terminal requests that put characters into the input of whoever reads the terminal.
const TERMINAL_INPUT: &[u32] = &[0x5412, 0x541C];

/// Installs the filter for this process and all its descendants.
pub(crate) fn enforce() -> io::Result<()> {
    security::install_filter(&program())
}

/// The whole filter.
fn program() -> Vec<sock_filter> {
    let mut code = vec![load(ARCHITECTURE), skip_if(NATIVE), done(errno(libc::ENOSYS)), load(NUMBER)];
    if cfg!(target_arch = "x86_64") {
        code.extend([unless_bits(X32), done(errno(libc::ENOSYS))]);
    }
    for number in DENIED.iter().chain(DENIED_HERE) {
        code.extend([unless(syscall(*number)), done(errno(libc::EPERM))]);
    }
    for number in ABSENT {
        code.extend([unless(syscall(*number)), done(errno(libc::ENOSYS))]);
    }
    let namespaces = |bits| vec![load(argument(0)), unless_bits(bits), done(errno(libc::EPERM)), done(ALLOW)];
    block(&mut code, libc::SYS_clone, namespaces(NEW_NAMESPACES));
    block(&mut code, libc::SYS_unshare, namespaces(NEW_NAMESPACES | NEW_TIME));
    block(&mut code, libc::SYS_ioctl, terminal_rules());
    block(&mut code, libc::SYS_socket, socket_rules());
    block(&mut code, libc::SYS_socketpair, socket_rules());
    code.push(done(ALLOW));
    code
}

fn terminal_rules() -> Vec<sock_filter> {
    let mut code = vec![load(argument(1))];
    for request in TERMINAL_INPUT {
        code.extend([unless(*request), done(errno(libc::EPERM))]);
    }
    code.push(done(ALLOW));
    code
}

/// Local sockets, the three common internet protocols, and the routing messages by which programs list
/// interfaces. In a network namespace of its own all of them reach this confinement alone.
fn socket_rules() -> Vec<sock_filter> {
    let mut internet = vec![load(argument(2))];
    for protocol in PROTOCOLS {
        internet.extend([unless(protocol.cast_unsigned()), done(ALLOW)]);
    }
    internet.push(done(errno(libc::EPROTONOSUPPORT)));
    let routing = vec![
        load(argument(2)),
        unless(libc::NETLINK_ROUTE.cast_unsigned()),
        done(ALLOW),
        done(errno(libc::EPROTONOSUPPORT)),
    ];
    let mut code = vec![load(argument(0)), unless(libc::AF_UNIX.cast_unsigned()), done(ALLOW)];
    for (family, rules) in
        [(libc::AF_INET, internet.clone()), (libc::AF_INET6, internet), (libc::AF_NETLINK, routing)]
    {
        code.push(unless_skipping(family.cast_unsigned(), rules.len()));
        code.extend(rules);
    }
    code.push(done(errno(libc::EAFNOSUPPORT)));
    code
}

/// Appends `rules`, which must end in a return on every path, for system call `number`.
fn block(code: &mut Vec<sock_filter>, number: c_long, rules: Vec<sock_filter>) {
    code.push(unless_skipping(syscall(number), rules.len()));
    code.extend(rules);
}

fn syscall(number: c_long) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn load(offset: u32) -> sock_filter {
    sock_filter { code: LOAD, jt: 0, jf: 0, k: offset }
}

fn done(answer: u32) -> sock_filter {
    sock_filter { code: RETURN, jt: 0, jf: 0, k: answer }
}

/// Skips the next instruction if the loaded value is `value`.
fn skip_if(value: u32) -> sock_filter {
    sock_filter { code: IF_EQUAL, jt: 1, jf: 0, k: value }
}

/// Runs the next instruction only if the loaded value is `value`.
fn unless(value: u32) -> sock_filter {
    unless_skipping(value, 1)
}

/// Skips `count` instructions unless the loaded value is `value`.
fn unless_skipping(value: u32, count: usize) -> sock_filter {
    sock_filter { code: IF_EQUAL, jt: 0, jf: u8::try_from(count).unwrap_or(u8::MAX), k: value }
}

/// Runs the next instruction only if the loaded value has one of `bits`.
fn unless_bits(bits: u32) -> sock_filter {
    sock_filter { code: IF_BITS, jt: 0, jf: 1, k: bits }
}

#[cfg(test)]
#[path = "seccomp_tests.rs"]
mod tests;
