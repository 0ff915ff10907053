"""`agentos logs`: what an agent said and did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentos.home import Home

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument("pid", metavar="PID", help="the run's process id, or the start of one")
    parser.add_argument("-f", "--follow", action="store_true", help="go on while it runs")
    parser.add_argument("--json", action="store_true", help="JSON Lines on stdout, a summary last")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from agentos.cli.run_output import printer
    from agentos.daemon.client import attempt, connect, read, read_events

    home = Home.find()
    show = printer(as_json=arguments.json, replay=True)
    params = {"pid": arguments.pid}
    # Without a daemon nothing runs, so there is nothing to wait for either.
    if arguments.follow and (living := attempt(home)) is not None:
        living.close()
        with connect(home) as daemon:
            for event in daemon.stream("run.follow", params):
                show(event)
        return 0
    for event in read_events("run.log", params, home):
        show(event)
    show(read("run.show", params, home))
    return 0
