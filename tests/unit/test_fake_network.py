"""The fake network answers for hosts that are scripted, and for no others."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from agentos.testing import FakeNetwork, HttpReply


def fetch(network: FakeNetwork, url: str) -> tuple[int, str]:
    proxies = {name.removesuffix("_proxy"): value for name, value in network.environment().items() if value}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
    try:
        with opener.open(url, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_scripted_host_answers_in_order_and_its_requests_are_kept() -> None:
    script = [HttpReply(body='{"up": true}'), HttpReply(503, "later", {"Retry-After": "1"})]
    with FakeNetwork({"api.example.org": script}) as network:
        assert fetch(network, "http://api.example.org/status?deep=1") == (200, '{"up": true}')
        assert fetch(network, "http://api.example.org:8080/again") == (503, "later")
        assert fetch(network, "http://api.example.org/more") == (502, "api.example.org has no more replies")
    assert [request.path for request in network.asked("api.example.org")] == [
        "/status?deep=1",
        "/again",
        "/more",
    ]


def test_a_callable_sees_the_request() -> None:
    with FakeNetwork({"a.example": lambda request: HttpReply(body=request.method + request.path)}) as network:
        assert fetch(network, "http://a.example/x") == (200, "GET/x")


def test_other_hosts_cannot_be_reached() -> None:
    with FakeNetwork() as network:
        assert fetch(network, "http://example.org/") == (502, "example.org is not in the fake network")
        assert [request.headers["host"] for request in network.requests] == ["example.org"]


def test_https_is_refused_in_words() -> None:
    with (
        FakeNetwork({"a.example": [HttpReply()]}) as network,
        pytest.raises(urllib.error.URLError, match="501"),
    ):
        fetch(network, "https://a.example/")
    assert network.asked("a.example")[0].method == "CONNECT"
