"""Programs that try to get out, each run inside a confinement: `attacks.py NAME TARGETS-AS-JSON`.

An attack that gets what it wants returns what it got; anything else it meets is an exception. The exit code
says which: 0 for success, 13 for an attack that was stopped. Needs nothing but a plain Python.
"""

# Calls of the system as they are, for any Python 3.
# ruff: noqa: PTH101,PTH102,PTH104,PTH108,PTH115,PTH116,PTH118,PTH120,PTH123,PTH208,PTH211,UP031
import ctypes
import json
import os
import resource
import signal
import socket
import struct
import sys
import time

ATTACKS = {}
LIBC = ctypes.CDLL(None, use_errno=True)


class Stopped(Exception):
    """The attack was not possible."""


def attack(function):
    ATTACKS[function.__name__] = function
    return function


def read(path):
    with open(path, "rb") as file:
        return file.read(200)


def call(number, *arguments):
    result = LIBC.syscall(ctypes.c_long(number), *[ctypes.c_long(argument) for argument in arguments])
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def by_machine(x86_64, aarch64):
    return x86_64 if os.uname().machine == "x86_64" else aarch64


# --- files -------------------------------------------------------------------------------------------------


@attack
def read_a_key_in_the_home(to):
    return read(to["key"])


@attack
def read_outside(to):
    return read(to["secret"])


@attack
def list_outside(to):
    return os.listdir(os.path.dirname(to["secret"]))


@attack
def read_password_hashes(to):
    return read("/etc/shadow")


@attack
def read_through_a_symlink(to):
    os.symlink(to["secret"], "link")
    return read("link")


@attack
def read_through_a_hard_link(to):
    os.link(to["secret"], "hard")
    return read("hard")


@attack
def read_through_the_root_of_a_process(to):
    for pid in ["self", "1"]:
        try:
            return read("/proc/" + pid + "/root" + to["secret"])
        except OSError as error:
            last = error
    raise last


@attack
def read_above_the_root(to):
    return read("../" * 40 + to["secret"].lstrip("/"))


@attack
def write_outside(to):
    with open(to["secret"], "a") as file:
        file.write("x")


@attack
def create_outside(to):
    with open(os.path.join(os.path.dirname(to["secret"]), "new"), "w") as file:
        file.write("x")
    os.stat(to["secret"])  # a folder of the same name in private memory is no outside


@attack
def write_what_may_be_read(to):
    with open(to["shown"], "a") as file:
        file.write("x")


@attack
def replace_what_may_be_read(to):
    with open("mine", "w") as file:
        file.write("x")
    os.rename("mine", to["shown"])


@attack
def delete_what_may_be_read(to):
    os.unlink(to["shown"])


@attack
def change_the_mode_of_what_may_be_read(to):
    os.chmod(to["shown"], 0o777)


@attack
def change_the_time_of_what_may_be_read(to):
    os.utime(to["shown"], (1, 1))


@attack
def mark_what_may_be_read(to):
    os.setxattr(to["shown"], "user.mark", b"x")


@attack
def write_through_a_reopened_stream(to):
    # Standard input is the secret file, opened for reading.
    with open("/proc/self/fd/0", "r+") as file:
        file.write("x")


@attack
def use_an_inherited_descriptor(to):
    opened = [int(name) for name in os.listdir("/proc/self/fd")]
    for descriptor in opened:
        if descriptor > 2:
            try:
                target = os.readlink("/proc/self/fd/%d" % descriptor)
            except OSError:
                continue
            if "/proc/" not in target:
                return target
    raise Stopped("three streams alone")


@attack
def find_a_secret_in_the_environment(to):
    found = {key: value for key, value in os.environ.items() if "marker" in value}
    if not found:
        raise Stopped("nothing there")
    return found


@attack
def open_a_disk_or_memory(to):
    for name in ["mem", "kmsg", "vda", "sda", "nvme0n1", "kvm", "fuse", "vsock"]:
        try:
            return os.open("/dev/" + name, os.O_RDONLY)
        except OSError as error:
            last = error
    raise last


@attack
def make_a_device(to):
    os.mknod("memory", 0o666 | 0o020000, os.makedev(1, 1))
    return read("memory")


# --- network -----------------------------------------------------------------------------------------------


@attack
def connect_to_the_host(to):
    socket.create_connection(("127.0.0.1", to["tcp"]), timeout=3).sendall(b"x")


@attack
def connect_to_the_host_by_ipv6(to):
    socket.create_connection(("::1", to["tcp6"]), timeout=3).sendall(b"x")


@attack
def send_a_datagram_to_the_host(to):
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect(("127.0.0.1", to["udp"]))
    sender.send(b"x")
    time.sleep(0.05)
    sender.send(b"x")  # reports the refusal of the first


@attack
def connect_by_multipath_tcp(to):
    multipath = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
    multipath.connect(("127.0.0.1", to["tcp"]))


@attack
def connect_to_an_abstract_socket(to):
    socket.socket(socket.AF_UNIX).connect("\0" + to["abstract"])


@attack
def connect_to_a_socket_file(to):
    socket.socket(socket.AF_UNIX).connect(to["socket"])


@attack
def reach_another_interface(to):
    others = [name for _, name in socket.if_nameindex() if name != "lo"]
    if not others:
        raise Stopped("loopback alone")
    return others


@attack
def reach_the_hypervisor(to):
    return socket.socket(40, socket.SOCK_STREAM).getsockname()


@attack
def read_packets(to):
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW).getsockname()


@attack
def talk_to_the_audit_system(to):
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9).getsockname()


@attack
def listen_for_kernel_events(to):
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15).getsockname()


@attack
def use_the_kernels_ciphers(to):
    return socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET).getsockname()


# --- processes ---------------------------------------------------------------------------------------------


@attack
def read_the_environment_of_others(to):
    for pid in os.listdir("/proc"):
        if pid.isdigit() and int(pid) != os.getpid():
            try:
                if b"victim-marker" in read("/proc/" + pid + "/environ"):
                    return pid
            except OSError:
                pass
    raise Stopped("no process has it")


@attack
def kill_a_process_of_the_host(to):
    os.kill(to["victim"], signal.SIGCONT)
    if "victim" not in read("/proc/%d/cmdline" % to["victim"]).decode():
        raise Stopped("another process has that number here")


@attack
def trace_a_process_of_the_host(to):
    call(by_machine(101, 117), 16, to["victim"], 0, 0)  # PTRACE_ATTACH


@attack
def limit_a_process_of_the_host(to):
    resource.prlimit(to["victim"], resource.RLIMIT_NOFILE, (5, 5))
    if "victim" not in read("/proc/%d/cmdline" % to["victim"]).decode():
        raise Stopped("another process has that number here")


@attack
def open_a_process_of_the_host(to):
    handle = call(434, to["victim"], 0)  # pidfd_open
    signal.pidfd_send_signal(handle, signal.SIGCONT)
    if "victim" not in read("/proc/%d/cmdline" % to["victim"]).decode():
        raise Stopped("another process has that number here")


@attack
def trace_pid_1(to):
    call(by_machine(101, 117), 16, 1, 0, 0)


@attack
def read_the_memory_of_pid_1(to):
    return read("/proc/1/environ") or read("/proc/1/maps")


@attack
def kill_pid_1(to):
    os.kill(1, signal.SIGKILL)
    time.sleep(0.05)
    raise Stopped("it does not mind")


@attack
def set_the_user_back(to):
    os.setuid(0 if os.getuid() else 65534)


@attack
def regain_capabilities(to):
    pid = os.fork()
    if pid == 0:
        os.execv("/bin/sh", ["sh", "-c", "grep -q '^CapEff:.*[1-9a-f]' /proc/self/status"])
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0:
        raise Stopped("none")


@attack
def type_into_the_terminal(to):
    import fcntl

    for letter in b"id\n":
        fcntl.ioctl(0, 0x5412, struct.pack("B", letter))  # TIOCSTI


@attack
def dump_core(to):
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        raise Stopped("no core files")


# --- the kernel --------------------------------------------------------------------------------------------


@attack
def make_a_user_namespace(to):
    call(by_machine(272, 97), 0x10000000)  # unshare


@attack
def make_a_user_namespace_with_clone(to):
    pid = call(by_machine(56, 220), 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)


@attack
def make_a_user_namespace_with_clone3(to):
    arguments = (ctypes.c_uint64 * 8)(0x10000000, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    if call(435, ctypes.addressof(arguments), 64) == 0:
        os._exit(0)


@attack
def make_a_network_namespace(to):
    call(by_machine(272, 97), 0x40000000)


@attack
def mount_something(to):
    os.mkdir("here")
    if LIBC.mount(b"none", b"here", b"tmpfs", 0, None) != 0:
        raise OSError(ctypes.get_errno(), "mount")


@attack
def open_a_mount_context(to):
    name = ctypes.create_string_buffer(b"tmpfs")
    call(430, ctypes.addressof(name), 0)  # fsopen


@attack
def make_root_writable(to):
    if LIBC.mount(None, b"/", None, 32 | 4096, None) != 0:  # MS_REMOUNT | MS_BIND
        raise OSError(ctypes.get_errno(), "mount")


@attack
def change_the_root(to):
    os.chroot(".")


@attack
def set_up_io_uring(to):
    parameters = ctypes.create_string_buffer(256)
    call(425, 4, ctypes.addressof(parameters))


@attack
def use_a_keyring(to):
    return call(by_machine(250, 219), 0, -3 & 0xFFFFFFFF, 0)  # KEYCTL_GET_KEYRING_ID of the session's


@attack
def load_a_bpf_program(to):
    attributes = ctypes.create_string_buffer(struct.pack("IIII", 2, 4, 4, 1), 128)
    call(by_machine(321, 280), 0, ctypes.addressof(attributes), 128)  # BPF_MAP_CREATE, array


@attack
def watch_performance_events(to):
    attributes = ctypes.create_string_buffer(struct.pack("IIQ", 1, 128, 0), 128)
    call(by_machine(298, 241), ctypes.addressof(attributes), 0, -1, -1, 0)


@attack
def handle_page_faults(to):
    call(by_machine(323, 282), 0)  # userfaultfd


@attack
def set_the_core_pattern(to):
    with open("/proc/sys/kernel/core_pattern", "r+") as file:
        file.write(file.read())


@attack
def press_the_magic_key(to):
    with open("/proc/sysrq-trigger", "w") as file:
        if os.fstat(file.fileno()).st_dev != os.stat("/proc/self").st_dev:
            raise Stopped("it is not the real one")


@attack
def rename_the_host(to):
    if LIBC.sethostname(b"agentos-test", 12) != 0:
        raise OSError(ctypes.get_errno(), "sethostname")


if __name__ == "__main__":
    try:
        print("open:", ATTACKS[sys.argv[1]](json.loads(sys.argv[2])))
    except (OSError, Stopped, ValueError) as stopped:
        print("stopped:", type(stopped).__name__, stopped)
        sys.exit(13)
