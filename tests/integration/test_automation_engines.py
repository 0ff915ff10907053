"""Agents and batches that run by themselves: through the engines of `run` and `batch`, past `kill -9` too."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from tests.batches import Repository
from tests.command import Command, wait_gone

from agentos.testing import Framing, Reply, Request, ScriptedModel, ToolCall

pytestmark = [pytest.mark.slow, pytest.mark.needs("namespaces")]

MODEL = "claude-sonnet-4-5"


def kill_daemon(agentos: Command) -> None:
    watched = os.pidfd_open(agentos.daemon)
    os.kill(agentos.daemon, signal.SIGKILL)
    wait_gone(watched)
    os.close(watched)


def plan(agentos: Command, program: str, read: Path | None = None) -> Repository:
    """A repository with a plan of three units, in the working folder."""
    repository = Repository.make(agentos.cwd, 3)
    document = {
        "version": 1,
        "units": {"from": "dirs", "glob": "src/*/"},
        "agent": {"program": program},
        "verify": {"run": "true"},
        "workspace": {"read": [] if read is None else [str(read)]},
    }
    (agentos.cwd / "plan.yaml").write_text(json.dumps(document))
    return repository


def test_a_job_runs_a_batch_of_the_commit_of_that_moment(agentos: Command) -> None:
    repository = plan(agentos, "echo changed >> {paths}/value.txt")
    (agentos.cwd / "jobs.yaml").write_text("jobs: [{name: all, every: 1h, batch: plan.yaml}]")
    assert agentos("cron", "add", "jobs.yaml").returncode == 0
    repository.write("src/00/value.txt", "newer\n")
    repository.git("commit", "-qam", "newer")
    before = repository.fingerprint()
    done = agentos.json("cron", "run", "jobs/all")
    assert done["ok"] and done["output"].startswith("3 of 3 units landed in b-"), done
    [batch] = agentos.json("batch", "list")
    assert (batch["state"], batch["landed"]) == ("done", 3)
    names = repository.git("for-each-ref", "--format=%(refname)", "refs/heads/agentos").split()
    [first] = [name for name in names if name.endswith("00")]
    assert repository.git("show", f"{first}:src/00/value.txt") == "newer\nchanged\n"
    assert repository.fingerprint() == before


def test_a_batch_within_a_workflow_goes_on_after_kill_9(agentos: Command, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.mkdir()
    plan(agentos, f"[ -e {gate}/open ] || sleep 600; echo changed >> {{paths}}/value.txt", gate)
    steps = [
        {"name": "mark", "program": "echo x >> marks", "write": ["."]},
        {"name": "many", "batch": "plan.yaml"},
    ]
    (agentos.cwd / "flow.yaml").write_text(json.dumps({"steps": steps}))
    assert agentos("workflow", "add", "flow.yaml").returncode == 0
    client = agentos.start("workflow", "run", "flow", "--json")
    while not any(row["name"].startswith("u-") or "unit" in row["name"] for row in agentos.json("ps")):
        assert client.poll() is None, client.communicate()
    rows = {row["pid"]: row for row in agentos.json("ps")}
    [batch] = [row for row in rows.values() if row["name"].startswith("batch ")]
    assert rows[batch["parent"]]["name"] == "workflow flow", "its budget bounds the batch's"
    (gate / "open").touch()
    kill_daemon(agentos)
    out, err = client.communicate(timeout=100)
    assert client.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["output"].startswith("3 of 3 units landed")
    assert len(agentos.json("batch", "list")) == 1, "it is the same batch"
    assert (agentos.cwd / "marks").read_text() == "x\n"


def test_an_agent_within_a_workflow_goes_on_after_its_last_turn(agentos: Command) -> None:
    def script(request: Request) -> Reply:
        if request.number == 0:
            call = ToolCall(id="c", name="shell", arguments={"command": "echo once >> count"})
            return Reply(tool_calls=[call])
        if request.number == 1:
            os.kill(agentos.daemon, signal.SIGKILL)
            return Reply(framing=Framing(stall=True, cut_after=0))
        return Reply(text="finished")

    with ScriptedModel(script) as server:
        agentos.environment |= server.environment()
        steps = [{"name": "ask", "task": "count", "model": MODEL}, {"name": "up", "program": "tr a-z A-Z"}]
        (agentos.cwd / "flow.yaml").write_text(json.dumps({"steps": steps}))
        assert agentos("workflow", "add", "flow.yaml").returncode == 0
        done = agentos("workflow", "run", "flow", "--json")
        bodies = [request.body["messages"] for request in server.requests]
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["output"] == "FINISHED"
    assert (agentos.cwd / "count").read_text() == "once\n"
    assert len(bodies) == 3 and bodies[1] == bodies[2]
    assert agentos.json("audit", "verify")["ok"]


def test_a_job_asks_a_model_with_the_keys_of_who_is_attached(agentos: Command) -> None:
    with ScriptedModel([Reply(text="all is well")]) as server:
        agentos.environment |= server.environment()
        text = f"jobs: [{{name: look, every: 1h, task: look around, model: {MODEL}}}]"
        (agentos.cwd / "jobs.yaml").write_text(text)
        assert agentos("cron", "add", "jobs.yaml").returncode == 0
        assert agentos("cron", "run", "jobs/look").stdout == "all is well\n"
        [request] = server.requests
        assert request.headers["x-api-key"] == agentos.environment["ANTHROPIC_API_KEY"]
