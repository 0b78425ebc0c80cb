"""A post goes to an address that was checked, and says the name to whoever is there."""

import httpx
import pytest

from runwell.callbacks.guard import AddressGuard, CheckedTarget, Target
from runwell.callbacks.post import Posted, post
from runwell.domain.errors import AddressRefused
from tests.callbacks.receivers import BODY, NOW, Received, answering, send, serving


class Recorder(httpx.AsyncBaseTransport):
    """A network that keeps the requests, and fails to connect to some addresses."""

    def __init__(
        self, unreachable: tuple[str, ...] = (), fault: type[Exception] = httpx.ConnectError
    ) -> None:
        self.requests: list[httpx.Request] = []
        self._unreachable = unreachable
        self._fault = fault

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.host in self._unreachable:
            raise self._fault("no way")
        return httpx.Response(204, stream=httpx.ByteStream(b""))


async def record(recorder: Recorder, checked: CheckedTarget) -> Posted:
    async with httpx.AsyncClient(transport=recorder) as client:
        return await post(client, checked, BODY, {}, now=NOW)


def target(url: str) -> Target:
    return AddressGuard().check_shape(url)


async def test_the_next_address_is_tried_when_one_cannot_be_connected_to():
    received = Received()
    async with serving(answering(200), received) as port:
        posted = await send(f"http://hooks.test:{port}/", "127.0.0.77", "::1", "127.0.0.1", "127.0.0.78")
    assert posted.delivered and received.connections == 1


@pytest.mark.parametrize("fault", [httpx.ConnectError, httpx.ConnectTimeout])
async def test_addresses_are_tried_in_order_until_one_answers(fault):
    recorder = Recorder(("1.1.1.1", "2606:4700::1"), fault)
    checked = CheckedTarget(
        target=target("https://hooks.example.com/"),
        addresses=("1.1.1.1", "2606:4700::1", "8.8.8.8", "9.9.9.9"),
    )
    posted = await record(recorder, checked)
    assert posted.delivered
    assert [request.url.host for request in recorder.requests] == ["1.1.1.1", "2606:4700::1", "8.8.8.8"]


@pytest.mark.parametrize("fault", [httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, OSError])
async def test_what_may_have_arrived_is_not_sent_to_another_address(fault):
    recorder = Recorder(("1.1.1.1",), fault)
    checked = CheckedTarget(target=target("https://hooks.example.com/"), addresses=("1.1.1.1", "8.8.8.8"))
    posted = await record(recorder, checked)
    assert posted.error and len(recorder.requests) == 1


@pytest.mark.parametrize(
    ("url", "address", "posted_to", "host", "sni"),
    [
        (
            "https://Hooks.Example.com/x?y",
            "1.1.1.1",
            "https://1.1.1.1/x?y",
            "hooks.example.com",
            "hooks.example.com",
        ),
        (
            "https://hooks.example.com:8443/",
            "2606:4700::1",
            "https://[2606:4700::1]:8443/",
            "hooks.example.com:8443",
            "hooks.example.com",
        ),
        (
            "http://[2606:4700::1]/",
            "2606:4700::1",
            "http://[2606:4700::1]/",
            "[2606:4700::1]",
            "2606:4700::1",
        ),
        ("https://1.1.1.1/", "1.1.1.1", "https://1.1.1.1/", "1.1.1.1", "1.1.1.1"),
    ],
)
async def test_the_request_goes_to_the_address_and_names_the_host(url, address, posted_to, host, sni):
    recorder = Recorder()
    await record(recorder, CheckedTarget(target=target(url), addresses=(address,)))
    (request,) = recorder.requests
    assert (str(request.url), request.headers["Host"]) == (posted_to, host)
    assert request.extensions["sni_hostname"] == sni
    assert request.method == "POST"


async def test_a_rebound_name_is_posted_to_where_it_was_checked_and_refused_the_next_time():
    answers = iter([["93.184.215.14"], ["127.0.0.1"]])

    async def rebind(host: str, port: int) -> list[str]:
        return next(answers)

    guard, recorder = AddressGuard(resolve=rebind), Recorder()
    await record(recorder, await guard.resolve("http://rebind.example/"))
    assert [request.url.host for request in recorder.requests] == ["93.184.215.14"]
    with pytest.raises(AddressRefused):
        await guard.resolve("http://rebind.example/")
    assert next(answers, None) is None
