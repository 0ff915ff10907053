//! Runs the filter in a small interpreter of classic BPF, as the kernel would.

use super::*;

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Allow,
    Errno(i32),
}

fn decide(architecture: u32, number: u32, arguments: [u64; 6]) -> Answer {
    let mut data = Vec::new();
    data.extend(number.to_le_bytes());
    data.extend(architecture.to_le_bytes());
    data.extend(0u64.to_le_bytes());
    for argument in arguments {
        data.extend(argument.to_le_bytes());
    }
    let (code, mut at, mut value) = (program(), 0, 0u32);
    loop {
        let step = code[at];
        at += 1;
        match step.code {
            LOAD => {
                let offset = step.k as usize;
                value = u32::from_le_bytes(data[offset..offset + 4].try_into().unwrap());
            }
            IF_EQUAL => at += usize::from(if value == step.k { step.jt } else { step.jf }),
            IF_BITS => at += usize::from(if value & step.k != 0 { step.jt } else { step.jf }),
            RETURN if step.k == ALLOW => return Answer::Allow,
            RETURN => return Answer::Errno((step.k & 0xffff).cast_signed()),
            other => panic!("instruction {other}"),
        }
    }
}

fn native(number: c_long, arguments: [u64; 6]) -> Answer {
    decide(NATIVE, u32::try_from(number).unwrap(), arguments)
}

#[test]
fn refuses_what_is_listed_and_lets_the_rest_pass() {
    for number in DENIED.iter().chain(DENIED_HERE) {
        assert_eq!(native(*number, [0; 6]), Answer::Errno(libc::EPERM), "{number}");
    }
    for number in ABSENT {
        assert_eq!(native(*number, [0; 6]), Answer::Errno(libc::ENOSYS), "{number}");
    }
    for number in
        [libc::SYS_read, libc::SYS_execve, libc::SYS_ptrace, libc::SYS_connect, libc::SYS_exit_group]
    {
        assert_eq!(native(number, [u64::MAX; 6]), Answer::Allow, "{number}");
    }
}

#[test]
fn threads_and_forks_pass_and_namespaces_do_not() {
    for flags in [libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND, libc::SIGCHLD, 0x80] {
        assert_eq!(native(libc::SYS_clone, [flags as u64, 0, 0, 0, 0, 0]), Answer::Allow);
    }
    for bit in 0..32 {
        let flag = 1u64 << bit;
        let new = u32::try_from(flag).unwrap();
        let expected = |bits: u32| if bits & new != 0 { Answer::Errno(libc::EPERM) } else { Answer::Allow };
        assert_eq!(native(libc::SYS_clone, [flag, 0, 0, 0, 0, 0]), expected(NEW_NAMESPACES), "{bit}");
        assert_eq!(native(libc::SYS_unshare, [flag, 0, 0, 0, 0, 0]), expected(NEW_NAMESPACES | NEW_TIME));
    }
}

#[test]
fn sockets_are_local_internet_or_routing() {
    let socket = |family: i32, protocol: i32| {
        // The upper halves are garbage that the kernel ignores, and so must the filter.
        let arguments = [0xdead_0000_0000 | family as u64, 1, 0xbeef_0000_0000 | protocol as u64, 0, 0, 0];
        let answer = native(libc::SYS_socket, arguments);
        assert_eq!(answer, native(libc::SYS_socketpair, arguments));
        answer
    };
    for (family, protocol) in [
        (libc::AF_UNIX, 0),
        (libc::AF_INET, 0),
        (libc::AF_INET, libc::IPPROTO_TCP),
        (libc::AF_INET6, libc::IPPROTO_UDP),
        (libc::AF_INET6, libc::IPPROTO_ICMPV6),
        (libc::AF_NETLINK, libc::NETLINK_ROUTE),
    ] {
        assert_eq!(socket(family, protocol), Answer::Allow, "{family} {protocol}");
    }
    for protocol in [262, libc::IPPROTO_SCTP, libc::IPPROTO_RAW, libc::IPPROTO_DCCP] {
        assert_eq!(socket(libc::AF_INET, protocol), Answer::Errno(libc::EPROTONOSUPPORT), "{protocol}");
    }
    for protocol in [libc::NETLINK_AUDIT, libc::NETLINK_NETFILTER, libc::NETLINK_KOBJECT_UEVENT] {
        assert_eq!(socket(libc::AF_NETLINK, protocol), Answer::Errno(libc::EPROTONOSUPPORT));
    }
    for family in [libc::AF_VSOCK, libc::AF_PACKET, libc::AF_ALG, libc::AF_BLUETOOTH, libc::AF_TIPC, 0, 99] {
        assert_eq!(socket(family, 0), Answer::Errno(libc::EAFNOSUPPORT), "{family}");
    }
}

#[test]
fn terminal_input_cannot_be_forged() {
    for (request, answer) in [
        (0x5412u64, Answer::Errno(libc::EPERM)),
        (0x541C, Answer::Errno(libc::EPERM)),
        (0xffff_ffff_0000_5412, Answer::Errno(libc::EPERM)),
        (0x5413, Answer::Allow),
    ] {
        assert_eq!(native(libc::SYS_ioctl, [0, request, 0, 0, 0, 0]), answer, "{request:x}");
    }
}

#[test]
fn other_tables_of_system_calls_do_not_exist() {
    for architecture in [0x4000_0003, 0x4000_0028, 0xC000_003E, 0xC000_00B7] {
        if architecture != NATIVE {
            assert_eq!(decide(architecture, 0, [0; 6]), Answer::Errno(libc::ENOSYS), "{architecture:x}");
        }
    }
    #[cfg(target_arch = "x86_64")]
    for number in [0, 41, 165, 425] {
        assert_eq!(decide(NATIVE, X32 | number, [0; 6]), Answer::Errno(libc::ENOSYS), "{number}");
    }
}

#[test]
fn fits_the_limit_of_the_kernel() {
    assert!(program().len() < 4096);
}
