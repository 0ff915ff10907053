"""What becomes of units: landed, failed of each kind, tried again; each on its own, nothing of the user's
touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.batches import Repository, nothing_left_over, run, units
from tests.command import Command

pytestmark = [pytest.mark.slow, pytest.mark.needs("git", "namespaces", "landlock")]

ADD = "for d in {paths}; do echo more >> $d/value.txt; done"


@pytest.fixture
def repository(agentos: Command) -> Repository:
    return Repository.make(agentos.cwd, 8)


def _flags(program: str, *more: str, verify: str = "true") -> list[str]:
    return ["--units", "src/*/", "--program", program, "--verify", verify, *more]


def _plan(agentos: Command, text: str) -> str:
    file = agentos.home.parent / "plan.yaml"
    file.write_text(text)
    return str(file)


def test_every_unit_lands_on_a_branch_of_its_own(agentos: Command, repository: Repository) -> None:
    before = repository.fingerprint()
    summary = run(agentos, *_flags(ADD))
    batch = summary["batch"]
    assert (summary["units"], summary["landed"], summary["failed"]) == (8, 8, 0)
    names = {f"agentos/{batch}/u-src-{number:02}" for number in range(8)}
    assert repository.branches(batch) == dict.fromkeys(names, 1)
    for number in range(8):
        branch = f"agentos/{batch}/u-src-{number:02}"
        assert repository.git("diff", "--name-only", "main", branch).split() == [f"src/{number:02}/value.txt"]
        assert repository.git("show", f"{branch}:src/{number:02}/value.txt") == f"{number}\nmore\n"
        assert (
            repository.git("log", "-1", "--format=%an <%ae>", branch).strip() == "Tess Ter <tess@example.org>"
        )
    assert repository.fingerprint() == before
    nothing_left_over(agentos)
    status = agentos.json("batch", "status")
    assert (status["state"], status["level"], status["baseline"]["exit_code"]) == ("done", "strict", 0)
    assert agentos.json("audit", "verify")["ok"]


def test_failures_are_told_apart_and_disturb_no_other_unit(
    agentos: Command, repository: Repository, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    program = f"""
        case {{unit}} in
            u-src-00) echo the program broke; exit 3 ;;
            u-src-01) echo bad > src/01/value.txt ;;
            u-src-02) echo x > src/03/value.txt ;;
            u-src-03) true ;;
            u-src-04) echo x > {outside} ;;
            u-src-05) kill -KILL $$ ;;
            *) echo more >> {{paths}}/value.txt ;;
        esac
    """
    summary = run(agentos, *_flags(program, verify="! grep -rq bad src"), code=3)
    found = units(agentos, summary["batch"])
    assert {title: (unit["failure"] or {}).get("kind") for title, unit in found.items()} == {
        "src/00/": "exit",
        "src/01/": "verify",
        "src/02/": "out_of_scope",
        "src/03/": "empty_diff",
        # It wrote into its own private /tmp, which is gone.
        "src/04/": "empty_diff",
        "src/05/": "crash",
        "src/06/": None,
        "src/07/": None,
    }
    assert (summary["landed"], summary["failed"]) == (2, 6)
    assert set(repository.branches(summary["batch"])) == {
        f"agentos/{summary['batch']}/u-src-06",
        f"agentos/{summary['batch']}/u-src-07",
    }
    assert not outside.exists()
    # What failed was tried twice, and its work is kept.
    assert [found[title]["attempts"] for title in sorted(found)] == [2, 2, 2, 2, 2, 2, 1, 1]
    salvaged = repository.salvaged(summary["batch"])
    assert [ref.split("/")[4:] for ref in salvaged] == [
        ["u-src-01", "1"], ["u-src-01", "2"], ["u-src-02", "1"], ["u-src-02", "2"],
    ]  # fmt: skip
    assert "the program broke" in agentos("batch", "logs", "u-src-00").stdout
    nothing_left_over(agentos)


def test_nothing_landed_is_exit_code_1(agentos: Command, repository: Repository) -> None:
    assert run(agentos, *_flags("exit 1"), code=1)["landed"] == 0


def test_a_unit_that_takes_too_long_is_cut(agentos: Command, repository: Repository) -> None:
    plan = _plan(
        agentos,
        'version: 1\nunits: {from: list, list: ["src/00/", "src/01/"]}\n'
        'agent: {program: "test {unit} = u-src-01 && exec sleep 1000; echo x > {paths}/value.txt"}\n'
        "limits: {timeout: 2s, attempts: 1}\n",
    )
    summary = run(agentos, plan, code=3)
    found = units(agentos, summary["batch"])
    assert found["src/00/"]["state"] == "committed"
    assert found["src/01/"]["failure"]["kind"] == "timeout"
    nothing_left_over(agentos)


def test_the_next_attempt_gets_the_log_of_the_last(agentos: Command, repository: Repository) -> None:
    program = (
        'f={failure}; if test -z "$f"; then echo bad > {paths}/value.txt; '
        "else printf '%s' \"$f\" > {paths}/value.txt; fi"
    )
    verify = "if grep -rqx bad src; then echo 'line 7: this is bad news'; exit 1; fi"
    batch = run(agentos, *_flags(program, verify=verify))["batch"]
    assert {unit["attempts"] for unit in units(agentos, batch).values()} == {2}
    shown = repository.git("show", f"agentos/{batch}/u-src-00:src/00/value.txt")
    assert shown == "line 7: this is bad news\n"


def test_units_run_at_the_same_time_and_no_more_than_allowed(
    agentos: Command, repository: Repository
) -> None:
    # Each waits for the other through nothing but its own time: overlap is read off the journal.
    run(agentos, *_flags(f"{ADD}; i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done", "--concurrency", "3"))
    import msgspec

    from agentos.batch.records import Attempt
    from agentos.kernel import ReadOnlyKernel

    agentos.end()
    kernel = ReadOnlyKernel.load(agentos.home / "kernel.db")
    rows = [msgspec.convert(row, Attempt) for row in kernel.records("attempt").values()]
    spans = [(row.started_us, row.ended_us) for row in rows]
    most = max(sum(start <= at < end for start, end in spans if end) for at, _ in spans)
    assert most == 3


def test_units_go_after_those_they_name(agentos: Command, repository: Repository) -> None:
    plan = _plan(
        agentos,
        "version: 1\nunits:\n"
        "  - {id: last, paths: [src/00/], after: [first, second]}\n"
        "  - {id: first, paths: [src/01/]}\n"
        "  - {id: second, paths: [src/02/]}\n"
        "  - {id: broken, paths: [src/03/]}\n"
        "  - {id: never, paths: [src/04/], after: [broken]}\n"
        "agent: {program: 'test {unit} != u-broken && echo x >> {paths}/value.txt'}\n"
        "limits: {attempts: 1, concurrency: 8}\n",
    )
    batch = run(agentos, plan, code=3)["batch"]
    found = {unit["id"]: unit for unit in agentos.json("batch", "status", batch)["units"]}
    assert {id: unit["state"] for id, unit in found.items()} == {
        "u-last": "committed",
        "u-first": "committed",
        "u-second": "committed",
        "u-broken": "failed",
        "u-never": "cancelled",
    }
    assert "u-broken" in found["u-never"]["failure"]["message"]


def test_what_an_agent_leaves_beside_its_change_does_not_reach_verification(
    agentos: Command, repository: Repository
) -> None:
    # Python would import the ignored bytecode in place of the source, and the check would turn green.
    repository.write(".gitignore", "__pycache__/\n")
    repository.write("src/00/thing.py", "answer = 41\n")
    repository.write(
        "check.py", "import sys\nsys.path.insert(0, 'src/00')\nimport thing\nassert thing.answer == 42\n"
    )
    repository.git("add", "-A")
    repository.git("commit", "-qm", "a thing with a test that fails")
    forge = (
        "cd src/00 && cp thing.py kept && echo 'answer = 42' > thing.py && touch -r kept thing.py && "
        "python3 -m compileall -q --invalidation-mode unchecked-hash thing.py && mv kept thing.py && "
        "echo x >> value.txt && ls __pycache__"
    )
    plan = _plan(
        agentos,
        "version: 1\nunits: {from: list, list: [src/00/]}\n"
        f"agent: {{program: {forge!r}}}\nverify: {{run: python3 check.py}}\nlimits: {{attempts: 1}}\n",
    )
    summary = run(agentos, plan, code=1)
    (unit,) = units(agentos, summary["batch"]).values()
    assert unit["failure"]["kind"] == "verify", unit
    assert ".pyc" in agentos("batch", "logs", "u-src-00").stdout


def test_a_red_baseline_is_shown_and_legal(agentos: Command, repository: Repository) -> None:
    summary = run(agentos, *_flags(ADD, verify="grep -q more src/0*/value.txt"))
    assert summary["landed"] == 8
    assert agentos.json("batch", "status")["baseline"]["exit_code"] == 1


def test_a_verification_that_cannot_run_stops_the_batch(agentos: Command, repository: Repository) -> None:
    done = agentos("batch", "run", "--yes", *_flags(ADD, verify="no-such-command-here"))
    assert done.returncode == 2
    assert "cannot run (exit code 127)" in done.stderr
    status = agentos.json("batch", "status")
    assert status["state"] == "failed"
    assert repository.branches(status["batch"]) == {}
    nothing_left_over(agentos)


def test_set_up_runs_before_agent_and_verification_and_is_no_change(
    agentos: Command, repository: Repository
) -> None:
    plan = _plan(
        agentos,
        "version: 1\nunits: {from: list, list: [src/00/]}\n"
        "agent: {program: 'cat made.txt > src/00/value.txt'}\n"
        "verify: {run: 'cmp made.txt src/00/value.txt'}\n"
        "workspace: {setup: ['echo by set-up > made.txt'], env: {GREETING: hi}}\n",
    )
    batch = run(agentos, plan)["batch"]
    assert repository.git("diff", "--name-only", "main", f"agentos/{batch}/u-src-00").split() == [
        "src/00/value.txt"
    ]


def test_a_set_up_that_fails_is_named(agentos: Command, repository: Repository) -> None:
    plan = _plan(
        agentos,
        "version: 1\nunits: {from: list, list: [src/00/]}\nagent: {program: 'true'}\n"
        "workspace: {setup: ['exit 9']}\nlimits: {attempts: 1}\n",
    )
    summary = run(agentos, plan, code=1)
    (unit,) = units(agentos, summary["batch"]).values()
    assert unit["failure"]["kind"] == "setup"


def test_patches_are_written_and_apply(agentos: Command, repository: Repository, tmp_path: Path) -> None:
    batch = run(agentos, *_flags(ADD, "--deliver", "patch"))["batch"]
    patches = sorted((agentos.home / "patches" / batch).iterdir())
    assert [patch.name for patch in patches] == [f"u-src-{number:02}.patch" for number in range(8)]
    clone = tmp_path / "clone"
    repository.git("clone", "-q", ".", str(clone))
    copy = Repository(clone)
    copy.git("-c", "user.name=x", "-c", "user.email=x@x", "am", "-q", *map(str, patches))
    assert (clone / "src/07/value.txt").read_text() == "7\nmore\n"


def test_odd_file_names_work(agentos: Command, repository: Repository) -> None:
    names = ["-dash", "with space", "new\nline", "ünïcode"]
    for name in names:
        repository.write(f"odd/{name}", "x\n")
    (repository.path / "odd").joinpath("raw").write_text("x\n")
    (repository.path / "odd" / "raw").rename(os.fsdecode(bytes(repository.path / "odd") + b"/\xff\xfe"))
    repository.git("add", "-A")
    repository.git("commit", "-qm", "odd names")
    summary = run(agentos, "--units", "odd/*", "--program", 'for f in {paths}; do echo y >> "$f"; done')
    assert summary["landed"] == 5
