"""From a ticket's mandate to a launch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentos.drivers.confinement import hide_home
from agentos.drivers.launch import LaunchSpec, record_path
from agentos.errors import UsageError
from agentos.home import Home
from agentos.messages import ANY, AnyScope, Everything, Exec, Host
from agentos.messages import Path as PathScope


def launch(mandate: list[AnyScope], **more: Any) -> LaunchSpec:
    given = {"cwd": "/srv/w", "env": {"PATH": "/bin"}, "home": "/home/me"} | more
    return LaunchSpec.from_mandate(mandate, ["true"], **given)


def test_paths_of_the_mandate_and_nothing_else_are_granted() -> None:
    mandate = [PathScope("/srv/w", "read_write"), PathScope("/srv/r", "read"), Exec(), Host(ANY, 443)]
    granted = [(grant.path, grant.access) for grant in launch(mandate).paths]
    assert granted == [(b"/srv/w", "read_write"), (b"/srv/r", "read")]


@pytest.mark.parametrize("scope", [Everything(), PathScope("/srv/w", "write")])
def test_what_a_process_cannot_be_held_to_is_refused(scope: AnyScope) -> None:
    with pytest.raises(UsageError, match="cannot be confined"):
        launch([scope])


def test_home_and_temporary_folder_are_set_whatever_the_environment_says() -> None:
    environment = dict(launch([], env={"HOME": "/root", "TMPDIR": "/elsewhere", "A": "b"}).environment)
    assert environment == {b"HOME": b"/home/me", b"TMPDIR": b"/tmp", b"A": b"b"}


@pytest.mark.parametrize("home", ["/", "//", "/usr/sbin", "/bin", "/proc/1", "", "relative"])
def test_an_account_without_a_home_gets_the_temporary_folder(home: str) -> None:
    spec = launch([], home=home) if home else launch([], home="/")
    assert spec.home == b"/tmp"


def test_paths_that_are_not_utf_8_come_through_the_record() -> None:
    real = "/srv/\udcff"
    spec = launch([PathScope(record_path(real), "read_write"), PathScope("/srv/r", "read")], cwd=real)
    assert [grant.path for grant in spec.paths] == [b"/srv/\xff", b"/srv/r"]
    spec = launch([PathScope(record_path(real), "read")], paths=[real])
    assert [grant.path for grant in spec.paths] == [b"/srv/\xff"]


def test_the_home_of_agentos_is_hidden_where_a_grant_would_show_it(tmp_path: Path) -> None:
    home = Home(tmp_path / "state")
    above = launch([PathScope(str(tmp_path), "read")])
    assert hide_home(above, home).hidden == [bytes(home.root)]
    inside = launch([PathScope(f"{home.workspaces}/u", "read_write")])
    assert hide_home(inside, home) == inside


def test_without_confinement_nothing_is_granted() -> None:
    assert launch([PathScope("/srv/w", "read")], level="none").paths == []
