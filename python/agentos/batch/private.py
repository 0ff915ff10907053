"""The engine's private git directory: the user's objects, and nothing of the user's configuration.

INVARIANT: every git command that meets files an agent may have written runs here. Its configuration holds
only what this module writes, so no filter, text converter, merge driver, monitor or hook exists that an
attribute file of an agent could name. New objects go to the user's object store, where only the refs that
`Repository.update` makes keep them alive.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from agentos.batch import git
from agentos.batch.repository import Repository


class PrivateRepository:
    """Git over the objects of `repository`, from the folder `folder` (made where missing).

    The ignore rules of the user's own (`.git/info/exclude`, `core.excludesFile`) are copied in, since what
    counts as a change is what git would show this user.
    """

    def __init__(
        self, repository: Repository, folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.repository = repository
        self.folder = folder
        if not (folder / "HEAD").exists():
            _create(repository, folder)
        _copy_ignore_rules(repository, folder, environment or os.environ)

    def run(
        self,
        *arguments: str | bytes,
        work_tree: Path | None = None,
        index: Path | None = None,
        stdin: bytes = b"",
        variables: Mapping[str, str] | None = None,
        accept: Iterable[int] = (0,),
    ) -> git.Result:
        """Runs git here, optionally over a work tree with an index of its own."""
        shallow = self.repository.common_dir / "shallow"
        place = git.Place(
            git_dir=self.folder,
            objects=self.repository.common_dir / "objects",
            work_tree=work_tree,
            index=index,
            shallow=shallow if self.repository.shallow else None,
        )
        return git.run(place, *arguments, stdin=stdin, variables=variables, accept=tuple(accept))

    def ignored(self, names: Iterable[bytes], work_tree: Path, index: Path) -> set[bytes]:
        """Those of `names` that the ignore rules of `work_tree` leave out; a folder's name ends in `/`."""
        asked = {b"./" + name: name for name in names}
        if not asked:
            return set()
        # The `./` keeps git from taking a name such as `:(top)` for a pattern.
        told = self.run(
            "check-ignore", "-z", "--stdin", "--no-index",
            work_tree=work_tree, index=index, accept=(0, 1), stdin=b"".join(name + b"\0" for name in asked),
        ).out  # fmt: skip
        return {asked[name] for name in told.split(b"\0")[:-1]}

    def tree_of(self, commit: str) -> str:
        """The tree of a commit."""
        return self.run("rev-parse", "--verify", f"{commit}^{{tree}}").out.decode().strip()


def _create(repository: Repository, folder: Path) -> None:
    # Made aside and renamed, so that a half-made one is never taken for whole.
    draft = folder.with_name(folder.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700, parents=True)
    git.run(
        git.Place(git_dir=draft), "init", "--quiet", "--bare", "--template=",
        f"--object-format={repository.object_format}",
    )  # fmt: skip
    shared = git.run(repository.place, "config", "--get", "core.sharedRepository", accept=(0, 1)).out
    if shared.strip():
        # New objects in a shared object store must stay readable to its group.
        git.run(git.Place(git_dir=draft), "config", "core.sharedRepository", shared.decode().strip())
    (draft / "info").mkdir(exist_ok=True)
    draft.rename(folder)


def _copy_ignore_rules(repository: Repository, folder: Path, environment: Mapping[str, str]) -> None:
    named = git.as_the_user(
        repository.top, environment, "config", "--type=path", "--get", "core.excludesFile"
    )
    home = environment.get("HOME", "")
    config_home = environment.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
    users = os.fsdecode(named.out.removesuffix(b"\n")) or (f"{config_home}/git/ignore" if config_home else "")
    rules = b""
    # The later rule wins, and a repository's own goes before the user's general ones.
    for source in (Path(users) if users else None, repository.common_dir / "info" / "exclude"):
        if source is not None and source.is_file():
            rules += source.read_bytes() + b"\n"
    target = folder / "info" / "exclude"
    if not target.exists() or target.read_bytes() != rules:
        draft = target.with_suffix(".new")
        draft.write_bytes(rules)
        draft.replace(target)
