"""`python -m agentos.daemon HOME`: started by the first command that acts, gone when it has no more to do."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from agentos.errors import AgentOSError, to_dict
from agentos.home import Home


def _say(line: dict[str, object]) -> None:
    """Tells the command that started us how it went, on the pipe that it waits on."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _main() -> int:
    from agentos.daemon.takeover import HeldByAnother, hold

    home = Home(Path(sys.argv[1]))
    os.umask(0o077)
    try:
        home.create()
        lock = hold(home)
    except HeldByAnother as held:
        _say({"held_by": held.holder})
        return 0
    except (AgentOSError, OSError) as failure:
        return _stopped_by(failure, home)
    try:
        return _serve(home, lock)
    finally:
        os.close(lock)


def _serve(home: Home, lock: int) -> int:
    import trio

    from agentos.batch import git
    from agentos.daemon.server import serve

    git.keep_open(lock)
    listening = False

    def ready() -> None:
        nonlocal listening
        listening = True
        _say({"ready": os.getpid()})
        # From here on nobody reads: what is said goes to the log.
        os.dup2(2, 1)

    try:
        trio.run(serve, home, ready)
    except (AgentOSError, OSError, BaseExceptionGroup) as failure:
        # What the system refuses a daemon that serves already is our bug; before, it is the home's state.
        kinds = AgentOSError if listening else (AgentOSError, OSError)
        known = [leaf for leaf in _leaves(failure) if isinstance(leaf, kinds)]
        if not known:
            raise
        return _stopped_by(known[0], home)
    return 0


def _stopped_by(failure: AgentOSError | OSError, home: Home) -> int:
    error = home.unusable(failure) if isinstance(failure, OSError) else failure
    _say({"error": to_dict(error)})
    return error.exit_code


def _leaves(failure: BaseException) -> list[BaseException]:
    if not isinstance(failure, BaseExceptionGroup):
        return [failure]
    return [leaf for inner in failure.exceptions for leaf in _leaves(inner)]


if __name__ == "__main__":
    sys.exit(_main())
