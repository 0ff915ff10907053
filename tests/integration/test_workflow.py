"""Workflows through the command and a real daemon, also one that is killed between and within steps."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tests.command import Command, wait_gone

from agentos.testing import Reply, ScriptedModel

pytestmark = [pytest.mark.slow, pytest.mark.needs("namespaces")]


def step(name: str, program: str | None = None, **given: Any) -> dict[str, Any]:
    return {"name": name, **({} if program is None else {"program": program, "write": ["."]}), **given}


def add(agentos: Command, *steps: dict[str, Any], name: str = "flow", **given: Any) -> None:
    (agentos.cwd / f"{name}.yaml").write_text(json.dumps({"steps": list(steps), **given}))
    done = agentos("workflow", "add", f"{name}.yaml")
    assert done.returncode == 0, done.stderr


def run(agentos: Command, *arguments: str, name: str = "flow") -> dict[str, Any]:
    """The summary of a run."""
    done = agentos("workflow", "run", name, "--json", *arguments)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def states(agentos: Command) -> dict[str, str]:
    """The latest run's steps by name."""
    return {row["name"]: row["state"] for row in agentos.json("workflow", "status")["steps"]}


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} does not come"
        os.sched_yield()


def kill_daemon(agentos: Command) -> None:
    watched = os.pidfd_open(agentos.daemon)
    os.kill(agentos.daemon, signal.SIGKILL)
    wait_gone(watched)
    os.close(watched)


def test_each_step_gets_what_the_last_one_gave(agentos: Command) -> None:
    add(
        agentos,
        step("first", "printf %s {input}; cat >/dev/null", output="begin"),
        step("second", "tr a-z A-Z"),
        step("third", "echo {begin} {input} {second} {unknown} ${HOME:+set} '{}'"),
    )
    assert run(agentos, "--input", "a 'b' $(touch x)")["output"] == (
        "a 'b' $(touch x) A 'B' $(TOUCH X) A 'B' $(TOUCH X) {unknown} set {}"
    )
    assert not (agentos.cwd / "x").exists()


def test_a_condition_passes_over_a_step_and_keeps_what_it_got(agentos: Command) -> None:
    add(
        agentos,
        step("check", "echo found an ERROR"),
        step("mend", "echo mended", when="error"),
        step("praise", "echo never", when="error"),
    )
    assert run(agentos)["output"] == "mended"
    assert states(agentos) == {"check": "done", "mend": "done", "praise": "passed"}


def test_a_loop_ends_when_its_word_comes_or_its_rounds_are_over(agentos: Command) -> None:
    grow = step("grow", "printf %sx {input}; cat >/dev/null")
    add(agentos, step("loop", loop=[grow], max_iterations=9, until="XXX"))
    assert run(agentos)["output"] == "xxx"
    add(agentos, step("loop", loop=[grow], max_iterations=4, until="never"))
    assert run(agentos)["output"] == "xxxx"


def test_branches_run_at_once_and_are_joined_in_order(agentos: Command) -> None:
    # Each waits for the other: in sequence they would never end.
    one = step("one", "touch a; while [ ! -e b ]; do :; done; echo 1", timeout="30s")
    two = step("two", "touch b; while [ ! -e a ]; do :; done; echo 2", timeout="30s")
    add(agentos, step("both", fan_out=[one, two]), step("after", "echo {one}{two}; cat"))
    assert run(agentos)["output"] == "12\n1\n\n---\n\n2"


def test_error_modes_hold_inside_a_fan_out_too(agentos: Command) -> None:
    bad = {"program": "echo partly; exit 3"}
    add(agentos, step("both", fan_out=[step("a", "echo a"), step("b", **bad, on_error="skip")]))
    assert run(agentos)["output"] == "a"
    add(agentos, step("both", fan_out=[step("a", "echo a"), step("b", **bad)]), step("after", "echo no"))
    failed = run(agentos)
    assert failed["state"] == "failed"
    assert failed["message"] == "`both`: `b`: it ended with exit code 3"
    assert states(agentos) == {"both": "failed", "a": "done", "b": "failed"}


def test_a_step_is_tried_again_with_growing_pauses(agentos: Command) -> None:
    line = "date +%s%N >> tries; [ $(wc -l < tries) -ge 3 ] && echo ok"
    add(agentos, step("try", line, on_error="retry", max_retries=3, backoff="1s"))
    assert run(agentos)["output"] == "ok"
    times = [int(line) / 1e9 for line in (agentos.cwd / "tries").read_text().split()]
    assert times[1] - times[0] >= 1 and times[2] - times[1] >= 2
    add(agentos, step("try", "exit 4", on_error="retry", max_retries=1, backoff="1s"))
    assert run(agentos)["message"] == "`try`: it ended with exit code 4"


def test_a_step_that_takes_too_long_is_ended_with_all_it_started(agentos: Command) -> None:
    add(agentos, step("slow", "sleep 600 & sleep 600", timeout="1s"))
    assert run(agentos)["message"] == "`slow`: it was still running after 1 seconds"
    assert not list((agentos.home / "run").iterdir())


def test_a_run_that_failed_goes_on_with_the_step_that_failed(agentos: Command) -> None:
    add(agentos, step("one", "echo 1 >> log; echo one"), step("two", "[ -e go ] && cat"))
    assert run(agentos)["state"] == "failed"
    (agentos.cwd / "go").touch()
    done = agentos("workflow", "resume")
    assert (done.returncode, done.stdout) == (0, "one\n"), done.stderr
    assert (agentos.cwd / "log").read_text() == "1\n"
    assert agentos("workflow", "resume").returncode == 2, "it is done"


@pytest.mark.parametrize("detached", [False, True])
def test_a_killed_daemon_loses_no_step_and_repeats_none_that_ended(agentos: Command, detached: bool) -> None:
    cut = "echo two >> log; [ -e go ] || { touch cut; sleep 600; }; echo 2"
    branches = [step("left", "echo left >> log"), step("two", cut, recovery="repeatable")]
    add(
        agentos,
        step("one", "echo one >> log; echo 1"),
        step("both", fan_out=branches),
        step("three", "echo three >> log; cat"),
    )
    client = agentos.start("workflow", "run", "flow", "--json", *(["--detach"] if detached else []))
    wait_for(agentos.cwd / "cut")
    while agentos.json("workflow", "status")["steps"] and states(agentos).get("left") != "done":
        os.sched_yield()
    (agentos.cwd / "go").touch()
    kill_daemon(agentos)
    if detached:
        client.communicate(timeout=60)
        # Any command that acts starts a daemon, which goes on.
        agentos("kill", "p-none")
        while agentos.json("workflow", "status")["state"] == "running":
            os.sched_yield()
    else:
        out, err = client.communicate(timeout=60)
        assert client.returncode == 0, err
        assert json.loads(out.splitlines()[-1])["state"] == "done"
    assert agentos.json("workflow", "status")["state"] == "done"
    assert sorted((agentos.cwd / "log").read_text().split()) == ["left", "one", "three", "two", "two"]


def test_a_step_that_was_cut_off_is_put_to_a_person(agentos: Command) -> None:
    add(
        agentos,
        step("once", "echo x >> log; [ -e go ] || { touch cut; sleep 600; }"),
        step("end", "echo end"),
    )
    client = agentos.start("workflow", "run", "flow", "--json")
    wait_for(agentos.cwd / "cut")
    kill_daemon(agentos)
    _, err = client.communicate(timeout=60)
    assert client.returncode == 5, err
    assert "cut off" in err and "--repeat" in err
    assert agentos.json("workflow", "status")["state"] == "waiting"
    assert agentos("workflow", "resume").returncode == 5, "nobody has decided"
    assert (agentos.cwd / "log").read_text() == "x\n"
    (agentos.cwd / "go").touch()
    done = agentos("workflow", "resume", "--repeat")
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr
    assert (agentos.cwd / "log").read_text() == "x\nx\n"


def test_a_person_may_go_on_without_the_step(agentos: Command) -> None:
    add(agentos, step("once", "touch cut; sleep 600"), step("end", "echo end"))
    client = agentos.start("workflow", "run", "flow")
    wait_for(agentos.cwd / "cut")
    os.killpg(client.pid, signal.SIGINT)
    _, err = client.communicate(timeout=60)
    assert client.returncode == 130 and "agentos workflow resume" in err
    assert agentos.json("workflow", "status")["state"] == "interrupted"
    done = agentos("workflow", "resume", "--skip")
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr
    assert states(agentos)["once"] == "skipped"


def test_a_pause_between_tries_outlives_the_daemon(agentos: Command) -> None:
    line = "date +%s%N >> tries; [ $(wc -l < tries) -ge 2 ] && echo ok"
    add(agentos, step("try", line, on_error="retry", backoff="3s"))
    client = agentos.start("workflow", "run", "flow", "--json")
    wait_for(agentos.cwd / "tries")
    while states(agentos).get("try") != "retrying":
        os.sched_yield()
    kill_daemon(agentos)
    out, err = client.communicate(timeout=60)
    assert client.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["output"] == "ok"
    times = [int(line) / 1e9 for line in (agentos.cwd / "tries").read_text().split()]
    assert len(times) == 2 and times[1] - times[0] >= 3


def test_killing_a_run_s_process_ends_its_steps(agentos: Command) -> None:
    add(agentos, step("long", "touch begun; sleep 600"))
    client = agentos.start("workflow", "run", "flow", "--json")
    wait_for(agentos.cwd / "begun")
    rows = {row["name"]: row for row in agentos.json("ps")}
    assert rows["long"]["parent"] == rows["workflow flow"]["pid"]
    assert agentos("kill", rows["workflow flow"]["pid"]).returncode == 0
    out, _ = client.communicate(timeout=60)
    assert json.loads(out.splitlines()[-1])["state"] == "cancelled"
    assert not list((agentos.home / "run").iterdir())
    assert [row["name"] for row in agentos.json("ps") if row["state"] != "exited"] == ["root"]


def test_workflows_run_workflows_and_do_not_turn_in_circles(agentos: Command) -> None:
    add(agentos, step("shout", "tr a-z A-Z"), name="inner")
    add(agentos, step("a", "echo hello"), step("b", workflow="inner"), name="outer")
    assert run(agentos, name="outer")["output"] == "HELLO"
    add(agentos, step("again", workflow="circle"), name="circle")
    assert "deep" in run(agentos, name="circle")["message"]
    assert "no workflow `none`" in agentos("workflow", "run", "none").stderr


def test_an_agent_is_a_step_within_the_budget_of_the_run(agentos: Command) -> None:
    with ScriptedModel([Reply(text="three bugs")]) as server:
        agentos.environment |= server.environment()
        model = "claude-sonnet-4-5"
        ask = step("ask", task="Find bugs in {input}", model=model, folder=".")
        add(agentos, ask, step("shout", "tr a-z A-Z"), budget="1.00")
        summary = run(agentos, "--input", "main.py")
        assert summary["output"] == "THREE BUGS", summary
        assert float(summary["spent_usd"]) > 0
        assert "Find bugs in main.py" in json.dumps(server.requests[0].body)
        add(agentos, ask, budget="0.00")
        assert "budget" in run(agentos)["message"]


def test_a_document_that_is_wrong_adds_nothing(agentos: Command) -> None:
    (agentos.cwd / "bad.yaml").write_text("steps:\n- name: a\n  program: 'true'\n  retries: 3\n")
    done = agentos("workflow", "add", "bad.yaml", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["where"] == "bad.yaml:4 (steps[0].retries)"
    assert agentos.json("workflow", "list") == []


@pytest.mark.parametrize("verb", ["run", "remove", "status", "resume"])
def test_what_is_not_there_is_named(agentos: Command, verb: str) -> None:
    done = agentos("workflow", verb, "none")
    assert done.returncode == 2
    assert "none" in done.stderr and "→" in done.stderr


def test_adding_again_changes_the_next_run_and_removing_ends_it(agentos: Command) -> None:
    add(agentos, step("a", "echo 1"))
    add(agentos, step("a", "echo 2"))
    assert run(agentos)["output"] == "2"
    (agentos.cwd / "other").mkdir()
    (agentos.cwd / "other" / "flow.yaml").write_text('steps: [{name: a, program: "true"}]')
    assert agentos("workflow", "add", "other/flow.yaml").returncode == 2
    assert agentos("workflow", "remove", "flow").returncode == 0
    assert agentos.json("workflow", "list") == []
    assert agentos("workflow", "run", "flow").returncode == 2
