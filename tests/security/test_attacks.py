"""Every attack of `attacks.py` is stopped at level `strict`; at level `none` the same program gets through,
which shows that the attack is one."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from security import attacks
from security.launching import Ended, Place

STOPPED = 13

# Attacks that have no way in without confinement either, or not on every machine, and why.
NO_CONTROL = {
    "read_password_hashes": "needs root",
    "open_a_disk_or_memory": "needs root, and a machine with one of them",
    "make_a_device": "needs root, and a file system that allows it",
    "connect_by_multipath_tcp": "kernels may be built without it",
    "connect_to_the_host_by_ipv6": "machines may have no IPv6",
    "reach_another_interface": "a machine may have none",
    "reach_the_hypervisor": "kernels may be built without it",
    "read_packets": "needs root",
    "talk_to_the_audit_system": "kernels may be built without it",
    "listen_for_kernel_events": "seen from the first network namespace alone",
    "use_the_kernels_ciphers": "kernels may be built without it",
    "trace_pid_1": "must not be tried on the machine's own",
    "read_the_memory_of_pid_1": "needs root",
    "kill_pid_1": "must not be tried on the machine's own",
    "set_the_user_back": "needs root",
    "regain_capabilities": "needs root",
    "type_into_the_terminal": "newer kernels switch it off",
    "dump_core": "limited at every level",
    "use_an_inherited_descriptor": "closed at every level",
    "find_a_secret_in_the_environment": "emptied at every level",
    "make_a_user_namespace": "distributions may switch it off",
    "make_a_user_namespace_with_clone": "distributions may switch it off",
    "make_a_user_namespace_with_clone3": "distributions may switch it off",
    "make_a_network_namespace": "needs root",
    "mount_something": "must not be tried on the host",
    "open_a_mount_context": "needs root",
    "make_root_writable": "must not be tried on the host",
    "change_the_root": "needs root",
    "set_up_io_uring": "administrators may switch it off",
    "load_a_bpf_program": "needs root",
    "watch_performance_events": "virtual machines may have none",
    "handle_page_faults": "administrators may switch it off",
    "set_the_core_pattern": "needs root",
    "press_the_magic_key": "must not be tried on the host",
    "rename_the_host": "must not be tried on the host",
    "read_through_a_hard_link": "systems may protect hard links",
    "mark_what_may_be_read": "file systems may have no attributes",
}


@contextmanager
def targets(scene: Place) -> Iterator[dict[str, Any]]:
    """What attacks go for: files, listeners and a process of the host, all the user's own."""
    with ExitStack() as stack:

        def listener(family: int, kind: int, address: Any) -> socket.socket:
            made = stack.enter_context(socket.socket(family, kind))
            made.bind(address)
            made.setblocking(False)
            if kind == socket.SOCK_STREAM:
                made.listen()
            return made

        tcp = listener(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        udp = listener(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        abstract = f"agentos-{uuid.uuid4().hex}"
        unix = [
            listener(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + abstract),
            listener(socket.AF_UNIX, socket.SOCK_STREAM, str(scene.outside / "socket")),
        ]
        (scene.outside / "socket").chmod(0o777)
        victim = subprocess.Popen(
            [scene.python, "-c", "import time; time.sleep(600)", "victim"],
            env={"SECRET": "victim-marker"},
            **scene.identity,
        )
        stack.callback(victim.wait)
        stack.callback(victim.kill)
        yield {
            "key": str(scene.home / ".ssh" / "key"),
            "secret": str(scene.outside / "secret"),
            "shown": str(scene.shown / "file"),
            "tcp": tcp.getsockname()[1],
            "tcp6": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "abstract": abstract,
            "socket": str(scene.outside / "socket"),
            "victim": victim.pid,
            "listeners": [tcp, udp, *unix],
            "process": victim,
        }


def attempt(scene: Place, name: str, to: dict[str, Any], **more: Any) -> Ended:
    plain = {key: value for key, value in to.items() if isinstance(value, str | int)}
    spec = scene.spec(scene.python, str(scene.shown / "attacks.py"), name, json.dumps(plain), **more)
    secret = os.open(scene.outside / "secret", os.O_RDONLY)
    controller, terminal = pty.openpty()
    try:
        return scene.run(
            spec,
            stdin=terminal if "terminal" in name else secret,
            pass_fds=[secret],
            env={"API_KEY": "marker"},
        )
    finally:
        for descriptor in (secret, controller, terminal):
            os.close(descriptor)


def reached(to: dict[str, Any]) -> list[str]:
    """What arrived at the listeners of the host."""
    arrived = []
    for listener in to["listeners"]:
        try:
            listener.accept() if listener.type == socket.SOCK_STREAM else listener.recv(100)
            arrived.append(str(listener))
        except BlockingIOError:
            pass
    return arrived


@pytest.mark.needs("namespaces", "landlock")
@pytest.mark.parametrize("name", attacks.ATTACKS)
def test_strict_stops_it(scene: Place, name: str) -> None:
    with targets(scene) as to:
        before = [path.stat() for path in (scene.outside / "secret", scene.shown / "file")]
        ended = attempt(scene, name, to)
        assert ended.code == STOPPED, (ended.last, ended.output.decode())
        after = [path.stat() for path in (scene.outside / "secret", scene.shown / "file")]
        assert [(s.st_ino, s.st_mode, s.st_size, s.st_mtime_ns) for s in before] == [
            (s.st_ino, s.st_mode, s.st_size, s.st_mtime_ns) for s in after
        ]
        assert reached(to) == []
        assert to["process"].poll() is None


@pytest.mark.parametrize("name", [name for name in attacks.ATTACKS if name not in NO_CONTROL])
def test_the_attack_is_one(own: Place, name: str) -> None:
    with targets(own) as to:
        ended = attempt(own, name, to, level="none")
        assert ended.code == 0, (ended.last, ended.output.decode())


def test_every_reason_names_an_attack() -> None:
    assert NO_CONTROL.keys() <= attacks.ATTACKS.keys()
