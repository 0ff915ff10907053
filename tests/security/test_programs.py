"""What people's programs do works inside, so that nobody is tempted to switch confinement off."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from security.launching import Place

pytestmark = pytest.mark.needs("namespaces", "landlock")

PYTHON_PROGRAMS = {
    "processes share memory": """
        import multiprocessing
        def double(number): return number * 2
        if __name__ == "__main__":
            with multiprocessing.Pool(2) as pool:
                assert pool.map(double, range(100)) == list(range(0, 200, 2))
            queue = multiprocessing.get_context("spawn").Queue()
            queue.put(1); assert queue.get() == 1
            from multiprocessing import shared_memory
            block = shared_memory.SharedMemory(create=True, size=1000)
            block.close(); block.unlink()
    """,
    "threads run": """
        import threading
        threads = [threading.Thread(target=sum, args=([1],)) for _ in range(20)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
    """,
    "a server on loopback is reached by name and number": """
        import socket, threading
        for family, bound, name in [
            (socket.AF_INET, "127.0.0.1", "localhost"),
            (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
            (socket.AF_INET6, "::1", "::1"),
        ]:
            server = socket.create_server((bound, 0), family=family)
            client = socket.create_connection((name, server.getsockname()[1]))
            server.accept()[0].sendall(b"hello")
            assert client.recv(5) == b"hello"
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); datagrams.bind(("127.0.0.1", 0))
        datagrams.sendto(b"x", datagrams.getsockname()); assert datagrams.recv(1) == b"x"
    """,
    "local sockets connect, by path and by abstract name": """
        import os, socket
        for name in ["local.sock", "/tmp/local.sock", chr(0) + "abstract"]:
            server = socket.socket(socket.AF_UNIX); server.bind(name); server.listen()
            socket.socket(socket.AF_UNIX).connect(name)
        os.unlink("local.sock")
        assert [name for _, name in socket.if_nameindex()] == ["lo"]
    """,
    "a debugger traces its child": """
        import ctypes, os, signal
        libc = ctypes.CDLL(None, use_errno=True)
        child = os.fork()
        if child == 0:
            libc.ptrace(0, 0, None, None)
            os.kill(os.getpid(), signal.SIGSTOP)
            os._exit(5)
        assert os.WIFSTOPPED(os.waitpid(child, 0)[1])
        assert libc.ptrace(7, child, None, None) == 0
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
    """,
    "a pseudo-terminal opens": """
        import os, pty
        controller, terminal = pty.openpty()
        os.write(terminal, b"line\\n")
        assert b"line" in os.read(controller, 100)
        assert os.ttyname(terminal).startswith("/dev/pts/")
    """,
    "private places are writable and empty": """
        import os, tempfile
        for place in ["/tmp", "/dev/shm", "/var/tmp", os.environ["HOME"]]:
            shown = [name for name in os.listdir(place) if not name.startswith((".", "agentos-scene"))]
            assert shown == [], (place, shown)
            with tempfile.NamedTemporaryFile(dir=place) as file:
                file.write(b"x")
        assert not os.path.exists("/run/user") and os.listdir("/run") == []
    """,
    "devices work": """
        import os
        assert len(os.urandom(8)) == 8
        open("/dev/null", "w").write("x")
        for name in ["zero", "random", "urandom"]:
            assert len(open("/dev/" + name, "rb", 0).read(4)) == 4
        try:
            open("/dev/full", "w", 1).write("x\\n")
        except OSError as error:
            assert error.errno == 28
    """,
    "file systems do what files need": """
        import os, fcntl, mmap
        os.makedirs("a/b/c"); open("a/b/c/f", "w").write("x" * 10)
        os.rename("a/b", "b"); os.link("b/c/f", "hard"); os.symlink("hard", "soft")
        os.chmod("hard", 0o640); os.truncate("hard", 4); os.utime("soft", (5, 5)); os.mkfifo("pipe")
        with open("hard", "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX); assert mmap.mmap(file.fileno(), 0)[:4] == b"xxxx"
        for name in ["hard", "soft", "pipe", "b/c/f"]: os.unlink(name)
        os.removedirs("b/c")
    """,
    "the process table is its own": """
        import os
        numbers = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
        assert numbers[0] == 1 and os.getpid() in numbers and len(numbers) < 10
        assert os.cpu_count() and open("/proc/meminfo").read().startswith("MemTotal")
    """,
}


def script(source: str) -> str:
    import textwrap

    return textwrap.dedent(source)


@pytest.mark.parametrize("name", PYTHON_PROGRAMS)
def test_python(scene: Place, name: str) -> None:
    program = scene.shown / "program.py"
    program.write_text(script(PYTHON_PROGRAMS[name]))
    ended = scene.run(scene.spec(scene.python, str(program)))
    assert (ended.code, ended.output.decode()) == (0, "")


GIT = """
git init -q -b main . && git config user.name n && git config user.email e && echo x > f && git add . &&
git commit -q -m m && git log --format=%s && git status --short && rm -rf .git f
"""
NODE = """
node -e 'require("http").createServer((q, r) => r.end("ok")).listen(0, function () {
  fetch(`http://localhost:${this.address().port}`).then(r => r.text()).then(t => {
    console.log(t); process.exit(0)
  })
})'
"""
C = "echo 'int main(void) { return 0; }' > /tmp/a.c && gcc -o /tmp/a /tmp/a.c && /tmp/a && echo ran"
TOOLS = {
    "sh": ("(sleep 0.05; echo late) & echo early; wait; echo done", "early\nlate\ndone\n"),
    "git": (GIT, "m\n"),
    "node": (NODE, "ok\n"),
    "perl": ("perl -e 'print \"perl\\n\"'", "perl\n"),
    "gcc": (C, "ran\n"),
    "gdb": ("gdb -q -batch -ex run -ex 'print 6*7' /bin/true 2>/dev/null | tail -1", "$1 = 42\n"),
    "bash": ("diff <(echo a) <(echo a) && echo same", "same\n"),
    "tar": ("mkdir d && echo x > d/f && tar cf - d | (cd /tmp && tar xf - && cat d/f); rm -r d", "x\n"),
    "make": ("printf 'all:\\n\\t@echo made\\n' > Makefile && make; rm Makefile", "made\n"),
}


@pytest.mark.parametrize("tool", [pytest.param(tool, marks=pytest.mark.needs(tool)) for tool in TOOLS])
def test_tools(scene: Place, tool: str) -> None:
    command, output = TOOLS[tool]
    ended = scene.run(scene.spec("bash" if tool == "bash" else "sh", "-c", command))
    assert (ended.code, ended.output.decode()) == (0, output)
    assert list(scene.work.iterdir()) == []


@pytest.mark.parametrize(
    "command", ["pip --version", "cargo --version", "rustc --version", "python3 --version"]
)
def test_the_users_runtimes_run(own: Place, real_home: Path, command: str) -> None:
    """Whatever runs outside, from wherever in the home folder it is installed, runs inside."""
    path = os.environ["PATH"]
    outside = subprocess.run(
        ["sh", "-c", command], capture_output=True, cwd="/", env={"PATH": path, "HOME": str(real_home)}
    )
    spec = own.spec("sh", "-c", command, home=real_home, environment={"PATH": path}, folder="/")
    venv = Path(sys.prefix)
    if str(venv) in path:
        spec = own.spec(
            "sh", "-c", command, home=real_home, environment={"PATH": path}, folder="/", grants={venv: "read"}
        )
    inside = own.run(spec)
    assert inside.code == outside.returncode, inside.output.decode()
    assert outside.returncode != 0 or inside.output == outside.stdout + outside.stderr


def test_the_home_shows_runtimes_alone(own: Place, real_home: Path) -> None:
    ended = own.run(own.spec("find", str(real_home), "-maxdepth", "1", "-mindepth", "1", home=real_home))
    shown = {Path(line).name for line in ended.output.decode().splitlines()}
    runtimes = {".cargo", ".rustup", ".pyenv", ".nvm", ".local", ".conda", "micromamba"}
    condas = {"miniconda3", "anaconda3", "miniforge3", "mambaforge"}
    assert shown <= runtimes | condas
    ended = own.run(
        own.spec("find", str(real_home / ".cargo"), "-maxdepth", "1", "-mindepth", "1", home=real_home)
    )
    assert {Path(line).name for line in ended.output.decode().splitlines() if "No such" not in line} <= {
        "bin",
        "registry",
    }


def test_files_belong_to_the_user_who_started_it(scene: Place) -> None:
    ended = scene.run(
        scene.spec("sh", "-c", "id -u; id -g; umask; mkdir folder; : > folder/file", umask=0o027)
    )
    uid = os.geteuid() if scene.uid is None else scene.uid
    gid = os.getegid() if scene.uid is None else scene.uid
    assert ended.output.decode() == f"{uid}\n{gid}\n0027\n"
    for path in (scene.work / "folder", scene.work / "folder" / "file"):
        assert (path.stat().st_uid, path.stat().st_gid) == (uid, gid)
    assert (scene.work / "folder").stat().st_mode & 0o777 == 0o750


def test_words_and_names_of_any_bytes_pass(scene: Place) -> None:
    odd = bytes(byte for byte in range(1, 256) if byte != ord("/"))
    folder = os.fsencode(scene.work) + b"/" + odd[:120]
    os.mkdir(folder)  # noqa: PTH102
    scene.own(Path(os.fsdecode(folder)))
    spec = scene.spec(
        "sh",
        "-c",
        'printf %s "$1"; : > "$2"',
        b"sh",
        odd,
        b"-\xff\n",
        grants={folder: "read_write"},
        folder=folder,
    )
    ended = scene.run(spec)
    assert (ended.code, ended.output) == (0, odd)
    assert os.listdir(folder) == [b"-\xff\n"]  # noqa: PTH208


def test_a_command_of_a_megabyte_and_a_deep_folder_pass(scene: Place) -> None:
    words = ["x" * 1000] * 1000
    ended = scene.run(scene.spec("sh", "-c", "echo $#", "sh", *words))
    assert ended.output == b"1000\n"
    deep = scene.work.joinpath(*["d" * 250] * 14)
    deep.mkdir(parents=True)
    for path in [deep, *deep.parents]:
        if path.is_relative_to(scene.work):
            scene.own(path)
    ended = scene.run(scene.spec("sh", "-c", "pwd; : > file", folder=deep))
    assert ended.output.decode() == f"{deep}\n"
    assert (deep / "file").exists()


def test_a_workspace_below_the_home_shows_at_its_place_and_the_rest_does_not(scene: Place) -> None:
    inner = scene.home / "projects" / "one"
    inner.mkdir(parents=True)
    for path in (inner, inner.parent):
        scene.own(path)
    (inner.parent / "two").mkdir()
    spec = scene.spec("sh", "-c", "pwd; ls -A ~ ..; echo x > f", grants={inner: "read_write"}, folder=inner)
    ended = scene.run(spec)
    assert ended.output.decode() == f"{inner}\n..:\none\n\n{scene.home}:\nprojects\n"
    assert (inner / "f").read_text() == "x\n"


def test_what_the_user_grants_in_the_home_is_as_granted(scene: Place) -> None:
    programs = scene.home / ".cargo" / "bin"
    programs.mkdir(parents=True)
    for path in (programs, programs.parent):
        scene.own(path)
    refused = scene.run(scene.spec("touch", str(programs / "new")))
    assert refused.code == 1 and b"Read-only file system" in refused.output
    assert scene.run(scene.spec("touch", str(programs / "new"), grants={scene.home: "read_write"})).code == 0
    assert (programs / "new").exists()


def test_a_hidden_folder_is_empty_and_a_grant_inside_shows(scene: Place) -> None:
    inner = scene.shown / "state" / "workspaces" / "one"
    inner.mkdir(parents=True)
    scene.own(inner)
    (scene.shown / "state" / "kernel.sock").write_text("")
    state = scene.shown / "state"
    spec = scene.spec(
        "sh",
        "-c",
        f"find {state} -type f; echo x > {inner}/f; touch {state}/new 2>/dev/null; echo $?",
        grants={inner: "read_write"},
        hidden=[os.fsencode(state)],
    )
    ended = scene.run(spec)
    assert ended.output == b"1\n"
    assert (inner / "f").read_text() == "x\n"


def test_a_read_only_folder_inside_a_writable_one_stays_so(scene: Place) -> None:
    vendor = scene.work / "vendor"
    vendor.mkdir()
    scene.own(vendor)
    command = "exec 2>/dev/null; echo x > mine && ! touch vendor/new && ! rmdir vendor && ! mv vendor v"
    ended = scene.run(scene.spec("sh", "-c", command, grants={vendor: "read"}))
    assert ended.code == 0, ended.output.decode()
    assert os.listdir(vendor) == []  # noqa: PTH208


def test_streams_that_are_files_open_again_as_they_were_opened(scene: Place) -> None:
    for name, mode, command, code in [
        ("out", os.O_WRONLY, "echo more > /dev/stdout", 0),
        ("log", os.O_WRONLY | os.O_APPEND, "echo more > /dev/stdout", 2),
        ("log", os.O_WRONLY | os.O_APPEND, "echo more", 0),
        ("out", os.O_RDWR, "echo more >> /proc/self/fd/1", 0),
    ]:
        file = scene.outside / name
        file.write_text("")
        scene.own(file)
        descriptor = os.open(file, mode)
        try:
            ended = scene.run(scene.spec("sh", "-c", command), stdout=descriptor, stderr=subprocess.DEVNULL)
        finally:
            os.close(descriptor)
        assert (ended.code, file.read_text()) == (code, "" if code else "more\n"), command
