"""The gate as a person meets it: a policy file, questions, answers, explanations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.command import Command
from tests.integration.test_run import call, calls

from agentos.testing import Reply, ScriptedModel, tool_results

pytestmark = [pytest.mark.slow]

POLICY = """
version = 1
[[rule]]
name = "notes-are-mine"
effect = "{effect}"
reason = "the notes are the person's own"
when = {{ action = ["write"], path = ["{path}"] }}
catches = [{{ action = {{ type = "write", path = "{path}/x" }} }}]
spares = [{{ action = {{ type = "read", path = "{path}/x" }} }}]
"""


def write_policy(agentos: Command, effect: str) -> Path:
    agentos.home.mkdir(mode=0o700, exist_ok=True)
    path = agentos.home / "policy.toml"
    path.write_text(POLICY.format(effect=effect, path=agentos.cwd / "notes"))
    return path


SCRIPT = [calls(call("write", path="notes/a.txt", content="mine now")), Reply(text="done")]


@pytest.mark.needs("namespaces")
def test_a_rule_stops_a_tool_call_and_the_model_reads_why(agentos: Command) -> None:
    write_policy(agentos, "deny")
    with ScriptedModel(SCRIPT) as server:
        agentos.environment |= server.environment()
        done = agentos("run", "do it", "--model", "claude-sonnet-4-5", "--json")
        answers = tool_results(server.requests[1])
    assert done.returncode == 0, done.stderr
    assert "the notes are the person's own" in answers[0]
    assert not (agentos.cwd / "notes").exists()
    shown = agentos("audit", "show").stdout
    assert "notes-are-mine" in shown


@pytest.mark.needs("namespaces")
@pytest.mark.parametrize("answer", ["approve", "deny"])
def test_a_question_waits_in_the_inbox_for_its_answer(agentos: Command, answer: str) -> None:
    write_policy(agentos, "ask")
    with ScriptedModel(SCRIPT) as server:
        agentos.environment |= server.environment()
        started = agentos("run", "do it", "--model", "claude-sonnet-4-5", "--detach", "--json")
        pid = json.loads(started.stdout.splitlines()[-1])["pid"]
        following = agentos.start("logs", pid, "-f", "--json")
        assert following.stdout is not None
        asked = {"event": ""}
        while asked["event"] != "asked":
            asked = json.loads(following.stdout.readline())
        [question] = agentos.json("inbox")
        assert question["id"] == asked["id"]
        assert (question["rule"], question["stage"]) == ("notes-are-mine", "rule")
        assert question["action"] == {"type": "write", "path": str(agentos.cwd / "notes/a.txt")}
        assert question["id"] in agentos("inbox").stdout
        answered = agentos.json(answer, question["id"])
        assert answered["answer"] == {"approve": "approved", "deny": "denied"}[answer]
        summary = [json.loads(line) for line in following.stdout][-1]
        following.communicate()
    assert summary["state"] == "done"
    assert (agentos.cwd / "notes/a.txt").exists() == (answer == "approve")
    assert agentos.json("inbox") == []
    again = agentos("approve", question["id"])
    assert again.returncode == 2 and "no open question" in again.stderr


@pytest.mark.needs("namespaces")
def test_where_nobody_can_be_asked_a_question_is_a_denial(agentos: Command) -> None:
    write_policy(agentos, "ask")
    with ScriptedModel(SCRIPT) as server:
        agentos.environment |= server.environment()
        done = agentos("run", "do it", "--model", "claude-sonnet-4-5", "--json")
        answers = tool_results(server.requests[1])
    assert done.returncode == 0, done.stderr
    assert "there is nobody to be asked" in answers[0]
    assert not (agentos.cwd / "notes").exists()


def test_nothing_starts_under_a_policy_that_is_wrong(agentos: Command) -> None:
    path = write_policy(agentos, "deny")
    path.write_text(path.read_text().replace('path = ["', 'path = ["/elsewhere'))
    done = agentos("exec", "--", "true")
    assert done.returncode in (2, 125), done.stderr
    assert "does not catch its example" in done.stderr and str(path) in done.stderr
    # What reads still works.
    assert agentos.json("inbox") == []


def test_policy_check_names_the_mistake(agentos: Command) -> None:
    path = write_policy(agentos, "deny")
    assert agentos.json("policy", "check")["rules"][0]["name"] == "notes-are-mine"
    path.write_text(path.read_text().replace('"read"', '"write"'))
    done = agentos("policy", "check", str(path), "--json")
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert "notes-are-mine" in error["message"] and error["where"] == str(path)
    assert agentos("policy", "check", "nowhere.toml").returncode == 2


def test_policy_test_plays_cases_against_the_kernel(agentos: Command) -> None:
    write_policy(agentos, "ask")
    cases = agentos.cwd / "cases.toml"
    notes = agentos.cwd / "notes"
    cases.write_text(
        f"""version = 1
[[case]]
action = {{ type = "write", path = "{notes}/b" }}
expect = "ask"
rule = "notes-are-mine"
[[case]]
action = {{ type = "connect", host = "example.org", port = 443 }}
labels = {{ secrecy = "private" }}
history = [{{ type = "connect", host = "news.example", port = 443 }}]
expect = "ask"
rule = "rule_of_two"
[[case]]
action = {{ type = "write", path = "/elsewhere" }}
expect = "deny"
"""
    )
    done = agentos("policy", "test", str(cases), "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert [row["ok"] for row in found["cases"]] == [True, True, False]
    assert found["failed"] == 1


def test_explain_names_who_decides_and_what_would_change_it(agentos: Command) -> None:
    write_policy(agentos, "ask")
    assert agentos("exec", "--", "true").returncode == 0
    root = agentos.json("ps")[0]["pid"]
    found = agentos.json("policy", "explain", root, "write", str(agentos.cwd / "notes/x"))
    assert (found["decision"], found["by"]) == ("ask", ["rule"])
    stages = {stage["stage"]: stage for stage in found["stages"]}
    assert stages["rule"]["name"] == "notes-are-mine"
    assert "policy.toml" in stages["rule"]["change"]
    assert stages["capability"]["decision"] == "go"
    wrong = agentos("policy", "explain", root, "fly")
    assert wrong.returncode == 2 and "no action" in wrong.stderr
