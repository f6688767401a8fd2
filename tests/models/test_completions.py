import asyncio
import re
import socket
import time
from collections import Counter

import pytest
from aiohttp import web

from t2t.errors import ConfigError, InfraError, RunError
from t2t.models.chat import ContextOverflow
from t2t.models.completions import Completion, CompletionClient, Sampling, ids_text
from t2t.models.http import MAX_REPLY_BYTES

SAMPLING = Sampling(max_tokens=5, temperature=0.0, top_p=1.0, stop_id=2)
GOOD = {"choices": [{"token_ids": [7, 2], "finish_reason": "stop", "text": "x"}]}
PROMPT = ids_text([1, 5])


class Endpoint:
    """Gives these answers in turn, the last one for ever; a status with a body, or the name of a fault."""

    def __init__(self, answers=()):
        self.answers = list(answers)
        self.asked = []
        self.headers = []

    async def answer(self, request):
        self.asked.append(await request.json())
        self.headers.append(dict(request.headers))
        made = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if callable(made):
            made = made()
        if made == "hang":
            await asyncio.sleep(60)
        if made == "drop":
            request.transport.abort()
        if made == "half":
            return web.Response(text='{"choices": [{"token_ids": [7,')
        if made == "large":
            return web.Response(body=b" " * (MAX_REPLY_BYTES + 1))
        if made in ("cut", "drip", "flood"):
            reply = web.StreamResponse(headers={"Content-Length": "1000"} if made == "cut" else {})
            await reply.prepare(request)
            while made != "cut":
                await reply.write(b" " * (1 if made == "drip" else 2**20))
                await asyncio.sleep(0.02 if made == "drip" else 0)
            await reply.write(b'{"choices": [')
            request.transport.abort()
            return reply
        status, body, *headers = made
        return web.json_response(body, status=status, headers=headers[0] if headers else None)

    async def start(self, port=0):
        app = web.Application()
        app.router.add_post("/v1/completions", self.answer)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", port).start()
        self.port = self.runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}/v1/"
        return self


def ask(answers, *, timeout_s=5.0, patience_s=2.0, num_requests=1, sampling=SAMPLING, key=""):
    """What a client makes of a server that gives these answers."""
    endpoint = Endpoint(answers)

    async def run():
        await endpoint.start()
        client = CompletionClient([endpoint.url], "m", timeout_s, patience_s, key=key)
        try:
            calls = [client.complete(PROMPT, sampling, 9, seed=3) for _ in range(num_requests)]
            return [answer.value for answer in await asyncio.gather(*calls)], client
        finally:
            await endpoint.runner.cleanup()

    completions, client = asyncio.run(run())
    return completions, client, endpoint


def error(status, message, **more):
    return status, {"error": {"message": message, "code": status, **more}}


def test_ids_go_in_and_ids_come_out_with_explicit_sampling():
    completions, _, endpoint = ask([(200, GOOD)])
    assert completions == [Completion([7, 2], "stop")]
    assert endpoint.asked == [
        {
            "model": "m",
            "prompt": [1, 5],
            "max_tokens": 5,
            "temperature": 0.0,
            "top_p": 1.0,
            "seed": 3,
            "stop_token_ids": [2],
            "return_token_ids": True,
            "skip_special_tokens": False,
        }
    ]


def test_the_log_probabilities_name_the_ids_they_belong_to():
    found = {"tokens": ["token_id:7", "token_id:2"], "token_logprobs": [-0.5, 0]}
    reply = {"choices": [{"logprobs": found, "finish_reason": "stop", "text": "x"}]}
    completions, _, endpoint = ask([(200, reply)], sampling=SAMPLING._replace(logprobs=True))
    assert completions == [Completion([7, 2], "stop", (-0.5, 0))]
    assert endpoint.asked[0]["logprobs"] == 0 and "return_token_ids" not in endpoint.asked[0]
    with pytest.raises(ConfigError, match="no log-probabilities"):
        ask([(200, GOOD)], sampling=SAMPLING._replace(logprobs=True))


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (error(500, "boom"), "http_5xx"),
        (error(503, "loading"), "http_5xx"),
        (error(429, "slow down"), "http_429"),
        ("drop", "connection"),
        ("half", "half_reply"),
        ("cut", "half_reply"),
        ("large", "too_large"),
        ("flood", "too_large"),
        ("drip", "timeout"),
        ("hang", "timeout"),
        ((200, {"choices": [{"token_ids": [], "finish_reason": "abort"}]}), "aborted"),
        ((200, {"choices": []}), "wrong_shape"),
        ((200, ["choices"]), "wrong_shape"),
        ((200, {"choices": [{"token_ids": ["7"], "finish_reason": "stop"}]}), "wrong_shape"),
        ((200, {"choices": [{"token_ids": [7]}]}), "wrong_shape"),
    ],
)
def test_a_passing_fault_is_counted_and_tried_again(fault, kind):
    completions, client, endpoint = ask([fault, fault, (200, GOOD)], timeout_s=0.3, patience_s=5)
    assert completions == [Completion([7, 2], "stop")]
    assert endpoint.asked[0] == endpoint.asked[1] == endpoint.asked[2]
    assert client.faults == {kind: 2} and client.requests == 3


def test_a_lasting_fault_ends_in_an_infrastructure_error_when_patience_is_spent():
    with pytest.raises(InfraError, match=r"failed [2-9] times within patience_s=0.2, last: HTTP 500 boom"):
        ask([error(500, "boom")], patience_s=0.2)
    with pytest.raises(InfraError, match=r"failed [2-9] times within patience_s=0.1, last: no whole answer within 0.1"):
        ask(["hang"], timeout_s=0.1, patience_s=0.1)


def test_a_service_that_asks_to_be_left_alone_is_left_alone():
    started = time.monotonic()
    _, client, _ = ask([(429, {}, {"Retry-After": "1"}), (200, GOOD)])
    assert time.monotonic() - started >= 1 and client.faults == {"http_429": 1}


def test_the_seconds_of_a_reply_are_those_of_the_try_that_succeeded():
    async def run():
        endpoint = await Endpoint([error(500, "boom"), error(500, "boom"), (200, GOOD)]).start()
        client = CompletionClient([endpoint.url], "m", 5.0, 5.0)
        started = time.monotonic()
        answer = await client.complete(PROMPT, SAMPLING, 9, 0)
        whole = time.monotonic() - started
        await endpoint.runner.cleanup()
        return answer.seconds, whole

    seconds, whole = asyncio.run(run())
    assert 0 < seconds < whole - 0.1


def test_a_server_that_is_gone_is_an_infrastructure_error():
    async def run():
        client = CompletionClient([f"http://127.0.0.1:{free_port()}"], "m", 5.0, 0.1)
        await client.complete(PROMPT, SAMPLING, 9, 0)

    with pytest.raises(InfraError, match=r"times within patience_s=0.1, last: ConnectionRefusedError"):
        asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (error(400, "too long", param="input_tokens"), ContextOverflow, "too long"),
        (error(400, "This model's maximum context length is 8 tokens"), ContextOverflow, "8 tokens"),
        (error(400, "bad top_p", param="top_p"), ConfigError, "HTTP 400: bad top_p"),
        (error(401, "who are you"), ConfigError, "HTTP 401.*check the key"),
        (error(404, "it serves `base`"), ConfigError, "does not serve the model 'm': it serves `base`"),
        ((307, {}, {"Location": "/elsewhere"}), ConfigError, "sends elsewhere"),
        ((200, {"choices": [{"text": "x", "finish_reason": "stop"}]}), ConfigError, "no token ids"),
    ],
)
def test_what_no_retry_can_mend_is_asked_once(answer, kind, text):
    with pytest.raises(kind, match=text):
        ask([answer, (200, GOOD)])


def test_a_key_that_the_service_repeats_is_said_nowhere(caplog):
    key = "canary-5f3a"
    _, _, endpoint = ask([(200, GOOD)], key=key)
    assert endpoint.headers[0]["Authorization"] == f"Bearer {key}"
    for status in (400, 401, 404, 429, 500):
        with pytest.raises((ConfigError, InfraError)) as raised:
            ask([error(status, f"Authorization: Bearer {key} is wrong")], key=key, patience_s=0.2)
        assert key not in str(raised.value)
    assert key not in caplog.text and "set aside" in caplog.text


def test_many_requests_run_at_once():
    completions, _, _ = ask([(200, GOOD)], num_requests=300)
    assert len(completions) == 300


def test_requests_go_to_the_server_with_the_fewest_and_away_from_one_that_failed():
    async def run():
        seen = Counter()
        release = asyncio.Event()

        def app(name, status):
            async def answer(_):
                seen[name] += 1
                await release.wait()
                return web.json_response(GOOD, status=status)

            made = web.Application()
            made.router.add_post("/v1/completions", answer)
            return made

        runners = [web.AppRunner(app(name, status)) for name, status in (("good", 200), ("bad", 500), ("slow", 200))]
        urls = []
        for runner in runners:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        client = CompletionClient(urls, "m", 5.0, 5.0)

        async def one():
            return await client.complete(PROMPT, SAMPLING, 9, 0, prefer=client.choose_url())

        tasks = []
        for _ in range(6):
            tasks.append(asyncio.create_task(one()))
            await asyncio.sleep(0.1)
        assert seen == {"good": 2, "bad": 2, "slow": 2}
        release.set()
        served = {answer.url for answer in await asyncio.gather(*tasks)}
        assert served == {f"{urls[0]}/v1/completions", f"{urls[2]}/v1/completions"}
        for runner in runners:
            await runner.cleanup()

    asyncio.run(run())


def test_talks_that_wait_before_they_send_are_spread_over_the_servers_all_the_same():
    client = CompletionClient([f"http://127.0.0.1:{port}" for port in (1, 2, 3)], "m", 5.0, 5.0)
    assert set(Counter(client.choose_url() for _ in range(30)).values()) == {10}


def test_a_talk_stays_with_its_server_and_comes_elsewhere_while_that_one_is_down():
    async def run():
        first, second = [await Endpoint([(200, GOOD)]).start() for _ in range(2)]
        client = CompletionClient([second.url, first.url], "m", 5.0, 5.0)
        home = f"http://127.0.0.1:{first.port}/v1/completions"

        async def one():
            return (await client.complete(PROMPT, SAMPLING, 9, 0, prefer=home)).url

        assert {await one() for _ in range(5)} == {home}
        await first.runner.cleanup()
        assert home not in {await one() for _ in range(5)}
        assert client.faults == {"connection": 1}, "only the first request finds out"
        again = await Endpoint([(200, GOOD)]).start(first.port)
        deadline = time.monotonic() + 10
        while await one() != home:
            assert time.monotonic() < deadline, "a server that is back is used again"
            await asyncio.sleep(0.1)
        for endpoint in (again, second):
            await endpoint.runner.cleanup()

    asyncio.run(run())


def test_requests_wait_for_a_server_that_comes_back_and_only_one_of_them_tries_it():
    async def run():
        endpoint = await Endpoint([(200, GOOD)]).start()
        port = endpoint.port
        await endpoint.runner.cleanup()
        client = CompletionClient([endpoint.url], "m", 5.0, 30.0)
        tasks = [asyncio.create_task(client.complete(PROMPT, SAMPLING, 9, 0)) for _ in range(200)]
        await asyncio.sleep(2.5)
        tried = client.requests
        again = await Endpoint([(200, GOOD)]).start(port)
        await asyncio.gather(*tasks)
        await again.runner.cleanup()
        return tried, client

    tried, client = asyncio.run(run())
    assert 200 < tried <= 203
    assert client.requests == tried + 200 and client.faults == {"connection": tried}


def test_when_no_server_will_ever_return_every_request_says_why():
    async def run():
        problem = ""
        client = CompletionClient([f"http://127.0.0.1:{free_port()}"], "m", 5.0, 60.0, problem=lambda: problem)
        tasks = [asyncio.create_task(client.complete(PROMPT, SAMPLING, 9, 0)) for _ in range(8)]
        await asyncio.sleep(0.2)
        assert not any(task.done() for task in tasks)
        problem = "vLLM died four times: out of memory"
        return await asyncio.gather(*tasks, return_exceptions=True)

    failures = asyncio.run(run())
    assert all(isinstance(one, RunError) and re.search("out of memory", str(one)) for one in failures)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
