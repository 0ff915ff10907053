"""The daemon's verbs on jobs and triggers. What each takes and gives is JSON, as on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from agentos.automation import adding, clock, cron, performing, trigger, watch, workflow_run
from agentos.automation.adding import clock_of, named, watch_of
from agentos.automation.clock import Clock
from agentos.automation.firing import exit_leftovers
from agentos.automation.watch import Watch
from agentos.errors import UsageError

if TYPE_CHECKING:
    from agentos.runtime.system import Acting, Reading, Session, System, View


async def recover(system: System) -> None:
    """Takes over what runs by itself: jobs, triggers and workflows go on where the last daemon stopped."""
    await exit_leftovers(system)
    system.areas["clock"], system.areas["watch"] = Clock(system), Watch(system)
    await workflow_run.recover(system)
    await watch_of(system).recover()
    await clock_of(system).recover()


async def _run_job(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """Runs a job now, and says how it ended."""
    performing.serve(system, session.id)
    try:
        work = await clock_of(system).by_hand(params["name"])
        session.hint = "it is settled as failed"
        async with system.attach(work):
            await work.done.wait()
    finally:
        performing.leave(system, session.id)
    state = clock.find(system.kernel, params["name"], removed=True)
    assert state is not None
    return clock.summary(system.kernel, state)


async def _fire_trigger(system: System, session: Session, params: dict[str, Any]) -> dict[str, Any]:
    """Fires a trigger by hand, and says how its work ended."""
    state = watch.find(system.kernel, params["name"])
    if state is None:
        raise UsageError(f"there is no trigger `{params['name']}`", hint="`agentos trigger list` shows them")
    if state.state == "disabled":
        raise UsageError(
            f"`{state.id}` is disabled: it has fired {state.fires} times",
            hint=f"agentos trigger add {state.file}",
        )
    if state.firing is not None:
        raise UsageError(f"`{state.id}` is running")
    performing.serve(system, session.id)
    try:
        with watch_of(system).feed.watch() as events:
            await watch_of(system).fire(state.id, {"event": "hand"})
            async for event in events:
                if event["event"] == "ended" and event["trigger"] == state.id:
                    return {key: value for key, value in event.items() if key != "event"}
    finally:
        performing.leave(system, session.id)
    raise UsageError(f"`{state.id}` did not come to its end")


async def _serve(system: System, session: Session, params: dict[str, Any]) -> None:
    """Keeps the daemon going for jobs and triggers, with the client's keys, and tells what happens."""
    session.hint = "jobs that come due meanwhile are caught up with when a daemon runs again"
    performing.serve(system, session.id)
    try:
        await session.emit(
            {
                "event": "serving",
                "jobs": len([state for state in clock.states(system.kernel) if state.state == "active"]),
                "triggers": len([state for state in watch.states(system.kernel) if state.state == "active"]),
            }
        )
        async with trio.open_nursery() as nursery:
            for feed in (clock_of(system).feed, watch_of(system).feed):
                nursery.start_soon(_pass_on, feed, session)
    finally:
        performing.leave(system, session.id)


async def _pass_on(feed: Any, session: Session) -> None:
    with feed.watch() as events:
        async for event in events:
            await session.emit(event)


def _jobs(view: View, params: dict[str, Any]) -> list[dict[str, Any]]:
    return [cron.row(state) for state in clock.states(view.kernel)]


def _triggers(view: View, params: dict[str, Any]) -> list[dict[str, Any]]:
    return [trigger.row(state) for state in watch.states(view.kernel)]


def _show_job(view: View, params: dict[str, Any]) -> dict[str, Any]:
    [state] = named([params["name"]], clock.states(view.kernel), "cron")[:1]
    return clock.summary(view.kernel, state)


def _show_trigger(view: View, params: dict[str, Any]) -> dict[str, Any]:
    [state] = named([params["name"]], watch.states(view.kernel), "trigger")[:1]
    return watch.summary(view.kernel, state)


READING: dict[str, Reading] = {
    "cron.list": _jobs,
    "cron.show": _show_job,
    "trigger.list": _triggers,
    "trigger.show": _show_trigger,
}
ACTING: dict[str, Acting] = {
    **adding.ACTING,
    "cron.run": _run_job,
    "cron.serve": _serve,
    "trigger.run": _fire_trigger,
}
