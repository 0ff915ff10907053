"""A home: where the state of one person's AgentOS lives, and the paths inside it."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from agentos.errors import AgentOSError, Failed, MissingMechanism, UsageError

_NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "ceph", "glusterfs", "lustre"}
)


_FULL = "free some disk space and try again; what was acknowledged is kept"


@dataclass(frozen=True)
class Home:
    """The folder `root` and what lies in it. Files are 0600, folders 0700."""

    root: Path

    @classmethod
    def find(cls, explicit: str | os.PathLike[str] | None = None) -> Home:
        """The home that `explicit`, `$AGENTOS_HOME` or the platform's user data folder names."""
        chosen = explicit or os.environ.get("AGENTOS_HOME")
        if chosen:
            return cls(Path(chosen).expanduser().absolute())
        data = os.environ.get("XDG_DATA_HOME")
        base = Path(data) if data else Path("~/.local/share").expanduser()
        return cls((base / "agentos").absolute())

    @property
    def database(self) -> Path:
        """The journal; only `rust/journal` opens it."""
        return self.root / "kernel.db"

    @property
    def audit_key(self) -> Path:
        """The key that signs anchors."""
        return self.root / "audit.key"

    @property
    def archive(self) -> Path:
        """The memory archive's folder."""
        return self.root / "archive"

    @property
    def workspaces(self) -> Path:
        """Working trees of batch units and what belongs to them."""
        return self.root / "workspaces"

    @property
    def checkpoints(self) -> Path:
        """What `agentos undo` restores from."""
        return self.root / "checkpoints"

    @property
    def run(self) -> Path:
        """One file per confined process that lives: its process id and start time."""
        return self.root / "run"

    @property
    def policy(self) -> Path:
        """The rules of the gate, as the person wrote them."""
        return self.root / "policy.toml"

    @property
    def lock(self) -> Path:
        """Held by the daemon; holds its process id."""
        return self.root / "lock"

    @property
    def socket(self) -> Path:
        """Where the daemon listens."""
        return self.root / "kernel.sock"

    @property
    def daemon_log(self) -> Path:
        """What the daemon has to say when nobody is attached."""
        return self.root / "daemon.log"

    def create(self) -> None:
        """Makes the folders. Raises where the home is somebody else's or on a network file system."""
        self._make(self.root)
        self.check()
        for folder in (self.archive, self.workspaces, self.checkpoints, self.run):
            self._make(folder)

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=folder == self.root, exist_ok=True)
        except OSError as error:
            raise self.unusable(error) from error
        except ValueError as error:
            raise UsageError(f"the home cannot be made: {error}", where=str(self.root)) from error

    def unusable(self, error: OSError) -> AgentOSError:
        """What the system's refusal of something in the home means for a person."""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        kind, hint = (Failed, _FULL) if full else (UsageError, "set AGENTOS_HOME to a folder of yours")
        reason = error.strerror or str(error)
        return kind(f"the home cannot be used: {reason}", where=str(error.filename or self.root), hint=hint)

    def check(self) -> None:
        """Raises UsageError where the home cannot be used safely; a home not there yet is fine."""
        try:
            status = self.root.stat()
        except FileNotFoundError:
            return
        except OSError as error:
            raise UsageError(f"the home cannot be read: {error.strerror}", where=str(self.root)) from error
        if not stat.S_ISDIR(status.st_mode):
            raise UsageError("the home is not a folder", where=str(self.root))
        if status.st_uid != os.geteuid():
            raise UsageError(
                f"the home belongs to another user (uid {status.st_uid})",
                where=str(self.root),
                hint="set AGENTOS_HOME to a folder of yours",
            )
        if stat.S_IMODE(status.st_mode) & 0o077:
            self.root.chmod(0o700)
        kind = _file_system(self.root)
        if kind in _NETWORK_FILE_SYSTEMS:
            raise MissingMechanism(
                f"the home lies on a network file system ({kind}), where locks do not hold",
                where=str(self.root),
                hint="set AGENTOS_HOME to a folder on a local disk",
            )


def _file_system(path: Path) -> str:
    """The type of the file system that `path` is on, from the mount table; empty where unknown."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    target = os.path.realpath(path)
    for line in lines:
        fields = line.split(" ")
        mount = fields[4].replace("\\040", " ")
        inside = mount == "/" or target == mount or target.startswith(mount + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, fields[fields.index("-") + 1]
    return kind
