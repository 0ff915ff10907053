"""Bad plans, flags and repositories on the command line: the error names what, where and what next, the exit
code is the contract's, and nothing is written: no home, no ref, no file. Then, what must work."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.batches import Repository, nothing_left_over, run
from tests.command import Command

pytestmark = [pytest.mark.slow, pytest.mark.needs("git")]
confined = pytest.mark.needs("namespaces", "landlock")

AGENT = 'agent: {program: "true"}\n'
LIST = AGENT + "units:\n"
GLOB = AGENT + "units: {glob: 'src/*/'}\n"
FLAGS = ("--units", "src/*/", "--program", "true")


@pytest.fixture
def repository(agentos: Command) -> Repository:
    return Repository.make(agentos.cwd, 3)


def _everything(folder: Path) -> dict[str, bytes | str]:
    """Every file below `folder` with its content or link, the `.git` included; folders, too."""
    found: dict[str, bytes | str] = {}
    for path in folder.rglob("*"):
        name = os.fsencode(path.relative_to(folder)).decode("latin-1")
        if path.is_symlink():
            found[name] = str(path.readlink())
        else:
            found[name] = path.read_bytes() if path.is_file() else ""
    return found


def _refused(
    agentos: Command, *arguments: str, code: int, message: str, hint: str = "", where: str = ""
) -> None:
    """It says what, where and what next, for people or, with `--json`, for programs; and writes nothing."""
    temporary = agentos.home.parent / "temporary"
    temporary.mkdir(exist_ok=True)
    agentos.environment["TMPDIR"] = str(temporary)
    before = _everything(agentos.home.parent)
    done = agentos("batch", *arguments)
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    shown = next(line for line in lines if line.startswith("agentos: "))
    assert message in shown and where in shown
    assert not hint or hint in next(line for line in lines if line.startswith("  → "))
    if "--json" in arguments:
        error = json.loads(done.stdout)["error"]
        assert set(error) == {"code", "message", "where", "hint"}
        assert (
            message in error["message"] and where in (error["where"] or "") and hint in (error["hint"] or "")
        )
    else:
        assert done.stdout == ""
    assert _everything(agentos.home.parent) == before
    assert not agentos.home.exists()


def _refused_twice(agentos: Command, *flags: str, **expected: Any) -> None:
    """By `plan`, for people, and by `run`, for programs."""
    _refused(agentos, "plan", *flags, **expected)
    _refused(agentos, "run", "--yes", "--json", *flags, **expected)


@pytest.mark.parametrize(
    ("text", "code", "line", "message", "hint"),
    [
        (LIST + "- {id: a, paths: [src/]}\n- {id: b, paths: [src/1]}\n", 2, 4, "`a` and `b`", "one unit"),
        (LIST + "- {paths: [src/01]}\n- {paths: [./src//01/x]}\n", 2, 4, "both own", "one unit"),
        (LIST + "- {paths: [src/00/]}\n- {paths: [../x]}\n", 2, 4, "leaves the repository", "without `..`"),
        (LIST + "- {paths: [src/../../x]}\n", 2, 3, "leaves the repository", "without `..`"),
        (LIST + "- {paths: [/etc/passwd]}\n", 2, 3, "is absolute", "repository's root"),
        (LIST + "- {paths: [.git/hooks/]}\n", 2, 3, "names a `.git`", ""),
        (LIST + "- {paths: ['']}\n", 2, 3, "units[0].paths[0]", ""),
        (LIST + "- {paths: ['\"\\q\"']}\n", 2, 3, "not a quoted path", "octal"),
        (LIST + "- {id: a, paths: [src/00/], after: [b]}\n", 2, 3, "`after` names `b`", ""),
        (GLOB + "verfy: {run: x}\n", 2, 3, "unknown key `verfy`", "`verify`"),
        (GLOB + "limits: {attemps: 2}\n", 2, 3, "unknown key `attemps` in `limits`", "`attempts`"),
        (GLOB + "limits: {concurrency: 0}\n", 2, 3, "limits.concurrency", ""),
        (GLOB + "limits: {timeout: soon}\n", 2, 3, "limits.timeout", "10m"),
        (GLOB + "limits: {budget_usd: -1}\n", 2, 3, "limits.budget_usd", "2.50"),
        (GLOB + "version: 2\n", 2, 3, "version", "version 1"),
        (GLOB + "base: nowhere\n", 2, 0, "`nowhere` names no commit", "a branch, a tag or a commit"),
        (AGENT + "units: {glob: 'nothing/*/'}\n", 2, 0, "matches `nothing/*/`", "only committed files"),
        (AGENT + "units: {glob: ../*}\n", 2, 2, "leaves the repository", ""),
        (AGENT, 2, 1, "lacks `units`", "glob"),
        (GLOB + "workspace: {read: [relative]}\n", 2, 0, "not absolute", "~/"),
        ("units: {glob: a\n", 2, 2, "not YAML", ""),
        ("", 2, 0, "is empty", ""),
        ("agent: {model: large}\nunits: {glob: 'src/*/'}\n", 7, 1, "`agent.model`", "program: …"),
        ("agent: {acp: claude}\nunits: {glob: 'src/*/'}\n", 7, 1, "`agent.acp`", "program: …"),
        ("agent: {command: c, auth: login}\nunits: {glob: 'src/*/'}\n", 7, 1, "`agent.command`", "program"),
        ("agent: {program: c, auth: login}\nunits: {glob: 'src/*/'}\n", 7, 1, "`agent.auth`", "program: …"),
        (AGENT + "units: {from: spec, glob: a}\n", 7, 2, "`units.from: spec`", "leave"),
        (AGENT + "units: {from: model}\n", 7, 2, "`units.from: model`", "leave"),
        (GLOB + "workspace: {net: ['127.0.0.1:1']}\n", 7, 3, "`workspace.net`", "leave"),
        (GLOB + "workspace: {services: [db]}\n", 7, 3, "`workspace.services`", "leave"),
        (GLOB + "workspace: {isolation: overlay}\n", 7, 3, "`workspace.isolation: overlay`", "leave"),
        (GLOB + "deliver: {as: pull_request}\n", 7, 3, "`deliver.as: pull_request`", "leave"),
        (GLOB + "deliver: {forge: github}\n", 7, 3, "`deliver.forge: github`", "leave"),
        (GLOB + "deliver: {sign: true}\n", 7, 3, "`deliver.sign: true`", "leave"),
    ],
)  # fmt: skip
def test_a_bad_plan_is_refused_whole(
    agentos: Command, repository: Repository, text: str, code: int, line: int, message: str, hint: str
) -> None:
    file = agentos.home.parent / "plan.yaml"
    file.write_text(text)
    where = f"{file}:{line}" if line else ""
    _refused_twice(agentos, str(file), code=code, message=message, hint=hint, where=where)


@pytest.mark.parametrize(
    ("arguments", "code", "message", "hint"),
    [
        (("run", "--yes"), 2, "there is no plan", "--units"),
        (("run", "--yes", "--units", "src/*/"), 2, "there is no plan", "--program"),
        (("run", "--yes", "tidy everything"), 7, "a task in words needs a model agent", "--program"),
        (("run", "--yes", "missing.yaml"), 2, "cannot be read: No such file", ""),
        (("plan", "src"), 2, "the plan cannot be read", ""),
        (("run", *FLAGS), 5, "a person says so", "--yes"),
        (("run", "--yes", *FLAGS, "--base", "-x"), 2, "", ""),
        (("run", "--yes", *FLAGS, "--base=--all"), 2, "`--all` names no commit", "a branch"),
        (("run", "--yes", *FLAGS, "--concurrency", "0"), 2, "limits.concurrency", ""),
        (("run", "--yes", *FLAGS, "--concurrency", "many"), 2, "many", "--help"),
        (("run", "--yes", *FLAGS, "--budget=-1"), 2, "limits.budget_usd", "2.50"),
        (("run", "--yes", *FLAGS, "--budget", "free"), 2, "limits.budget_usd", "2.50"),
        (("run", "--yes", *FLAGS, "--deliver", "merge"), 7, "`deliver.as: merge`", "leave"),
        (("run", "--yes", *FLAGS, "--deliver", "fax"), 2, "deliver.as", ""),
        (("plan", *FLAGS, "-o", "no/such/folder/plan.yaml"), 2, "cannot be written", ""),
        (("plan", *FLAGS, "-o", "src/00/value.txt"), 2, "there already", "another name"),
        (("run", "--yes", *FLAGS, "--verify", "grep \udcff"), 2, "--verify is not UTF-8 text", "script"),
        (("run", "--yes", "--units", "\udcff*", "--program", "true"), 2, "--units is not UTF-8", "caf\\351"),
        (("status",), 2, "no batch yet", "--all"),
        (("status", "b-nothing"), 2, "means no batch", "--all"),
        (("diff",), 2, "no batch yet", "--all"),
        (("report", "--html"), 2, "no batch yet", "--all"),
        (("accept",), 2, "UNIT", "--help"),
        (("nonsense",), 2, "nonsense", "--help"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(
    agentos: Command, repository: Repository, arguments: tuple[str, ...], code: int, message: str, hint: str
) -> None:
    _refused(agentos, *arguments, code=code, message=message, hint=hint)
    _refused(agentos, *arguments, "--json", code=code, message=message, hint=hint)


def test_a_plan_that_is_not_text_or_too_large_is_refused(agentos: Command, repository: Repository) -> None:
    file = agentos.home.parent / "plan.yaml"
    file.write_bytes(b"name: caf\xe9\n")
    _refused_twice(agentos, str(file), code=2, message="not UTF-8", hint="UTF-8", where="byte 9")
    file.write_bytes(b"#" * (5 << 20))
    _refused_twice(agentos, str(file), code=2, message="too large", hint="4 MiB", where=str(file))


def test_what_is_no_repository_to_work_on_is_refused(agentos: Command) -> None:
    agentos.environment["GIT_CEILING_DIRECTORIES"] = str(agentos.cwd.parent)
    plain = Repository(agentos.cwd)
    _refused_twice(
        agentos, *FLAGS, code=2, message="not a git repository", hint="git init", where=str(plain.path)
    )
    plain.git("init", "-q", "-b", "main")
    _refused_twice(agentos, *FLAGS, code=2, message="no commit yet", hint="git commit", where=str(plain.path))
    agentos.cwd = plain.path / ".git"
    _refused_twice(agentos, *FLAGS, code=2, message="`.git`, not its checkout", hint="in the checkout")
    agentos.cwd = plain.path / "bare"
    plain.git("init", "-q", "--bare", "bare")
    _refused_twice(agentos, *FLAGS, code=2, message="is bare", hint="clone it", where=str(agentos.cwd))


def test_a_repository_whose_own_path_is_not_text_is_refused(agentos: Command, tmp_path: Path) -> None:
    agentos.cwd = Repository.make(Path(os.fsdecode(bytes(tmp_path) + b"/r\xff")), 1).path
    _refused_twice(agentos, *FLAGS, code=2, message="path is not UTF-8", hint="move it", where="r\\377")


def test_a_branch_in_the_way_is_refused_before_anything_starts(
    agentos: Command, repository: Repository
) -> None:
    repository.git("branch", "agentos")
    _refused_twice(agentos, *FLAGS, code=2, message="a branch called `agentos`", hint="git branch -m agentos")


def test_a_person_without_a_name_is_told(agentos: Command, repository: Repository) -> None:
    repository.git("config", "--unset", "user.name")
    repository.git("config", "user.useConfigOnly", "true")
    agentos.environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    _refused_twice(agentos, *FLAGS, code=2, message="who you are", hint="user.name")


# --- what looks bad and must work -------------------------------------------------------------------------

ADD = 'for f in {paths}; do echo more >> "$f"; done'


def _works(agentos: Command, repository: Repository, *arguments: str, landed: int) -> str:
    before = repository.fingerprint()
    summary = run(agentos, *arguments)
    assert (summary["units"], summary["landed"]) == (landed, landed)
    assert repository.fingerprint() == before
    nothing_left_over(agentos)
    return str(summary["batch"])


@confined
def test_a_shallow_clone_works(agentos: Command, repository: Repository, tmp_path: Path) -> None:
    repository.write("src/00/value.txt", "second\n")
    repository.git("commit", "-qam", "second")
    clone = Repository(tmp_path / "shallow")
    repository.git("clone", "-q", "--depth=1", f"file://{repository.path}", str(clone.path))
    clone.git("config", "user.name", "Tess Ter")
    clone.git("config", "user.email", "tess@example.org")
    agentos.cwd = clone.path
    batch = _works(agentos, clone, "--units", "src/*/*", "--program", ADD, landed=3)
    assert clone.git("show", f"agentos/{batch}/u-src-00-value-txt:src/00/value.txt") == "second\nmore\n"


@confined
def test_a_dirty_checkout_works_from_the_base_commit(agentos: Command, repository: Repository) -> None:
    repository.write("src/00/value.txt", "not committed\n")
    repository.write("src/01/staged.txt", "staged\n")
    repository.git("add", "src/01/staged.txt")
    (repository.path / "src/02/value.txt").unlink()
    repository.write("untracked/file.txt", "x\n")
    batch = _works(agentos, repository, "--units", "src/*/*", "--program", ADD, landed=3)
    assert repository.git("show", f"agentos/{batch}/u-src-00-value-txt:src/00/value.txt") == "0\nmore\n"


@confined
def test_a_checkout_in_the_middle_of_a_rebase_works(agentos: Command, repository: Repository) -> None:
    repository.git("checkout", "-q", "-b", "side")
    repository.write("src/00/value.txt", "side\n")
    repository.git("commit", "-qam", "side")
    repository.git("checkout", "-q", "main")
    repository.write("src/00/value.txt", "main\n")
    repository.git("commit", "-qam", "main")
    repository.git("checkout", "-q", "side")
    stuck = subprocess.run(["git", "rebase", "-q", "main"], cwd=repository.path, capture_output=True)
    assert stuck.returncode != 0 and (repository.path / ".git/rebase-merge").is_dir()
    batch = _works(agentos, repository, "--units", "src/*/*", "--program", ADD, landed=3)
    assert repository.git("show", f"agentos/{batch}/u-src-00-value-txt:src/00/value.txt") == "main\nmore\n"
    assert (repository.path / ".git/rebase-merge").is_dir()


@confined
def test_odd_names_in_a_units_paths_work(agentos: Command, repository: Repository) -> None:
    names = [
        b"-dash",
        b"--help",
        b"with space",
        b"new\nline",
        b"tab\there",
        b'quo"te',
        b"*star",
        b"\xff\xfe",
        b"$(x)",
    ]
    for name in names:
        file = bytes(repository.path) + b"/odd/" + name
        Path(os.fsdecode(file)).parent.mkdir(exist_ok=True)
        Path(os.fsdecode(file)).write_bytes(b"x\n")
    top = Path(os.fsdecode(bytes(repository.path) + b"/-top"))
    top.write_bytes(b"x\n")
    repository.git("add", "-A")
    repository.git("commit", "-qm", "odd names")
    from agentos.batch.paths import quote

    listed = [{"paths": [quote(b"odd/" + name)]} for name in names] + [{"paths": ["-top"]}]
    file = agentos.home.parent / "plan.json"
    file.write_text(
        json.dumps({"units": listed, "agent": {"program": ADD}, "verify": {"run": "cat {paths}"}})
    )
    batch = _works(agentos, repository, str(file), landed=len(listed))
    status = agentos.json("batch", "status", batch)
    for unit, item in zip(status["units"], listed, strict=True):
        assert unit["paths"] == item["paths"]
        changed = subprocess.run(
            ["git", "diff", "-z", "--name-only", "main", unit["branch"]],
            cwd=repository.path, check=True, capture_output=True,
        ).stdout  # fmt: skip
        assert [quote(changed.removesuffix(b"\0"))] == item["paths"]
    # The report and the diff of such names are text that harms no terminal.
    assert "\n" in agentos("batch", "report", batch).stdout
    assert agentos("batch", "diff", "--batch", batch).returncode == 0


@confined
def test_a_budget_of_zero_is_fine_with_programs(agentos: Command, repository: Repository) -> None:
    _works(agentos, repository, "--units", "src/*/*", "--program", ADD, "--budget", "0", landed=3)
