import asyncio
import socket
from collections import Counter

import pytest
from aiohttp import web

from t2t.errors import ConfigError, InfraError
from t2t.models.chat import ContextOverflow
from t2t.models.completions import Completion, CompletionClient, Sampling

SAMPLING = Sampling(max_tokens=5, temperature=0.0, top_p=1.0, stop_id=2)
GOOD = {"choices": [{"token_ids": [7, 2], "finish_reason": "stop", "text": "x"}]}


def ask(answers, *, timeout_s=5.0, retry_delays_s=(0.01, 0.01), num_requests=1):
    """What a client makes of a server that gives these answers in turn, the last one for ever."""
    asked = []

    async def answer(request):
        asked.append(await request.json())
        made = answers[min(len(asked), len(answers)) - 1]
        if made == "hang":
            await asyncio.sleep(60)
        if made == "drop":
            request.transport.abort()
        if made == "half":
            return web.Response(text='{"choices": [{"token_ids": [7,')
        status, body = made
        return web.json_response(body, status=status)

    async def run():
        app = web.Application()
        app.router.add_post("/v1/completions", answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/"
        client = CompletionClient([url], "m", timeout_s, retry_delays_s)
        try:
            calls = [client.complete(client.choose_url(), [1, 5], SAMPLING, seed=3) for _ in range(num_requests)]
            return [completion for completion, _ in await asyncio.gather(*calls)]
        finally:
            await runner.cleanup()

    return asyncio.run(run()), asked


def error(status, message, **more):
    return status, {"error": {"message": message, "code": status, **more}}


def test_ids_go_in_and_ids_come_out_with_explicit_sampling():
    completions, asked = ask([(200, GOOD)])
    assert completions == [Completion([7, 2], "stop")]
    assert asked == [
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


@pytest.mark.parametrize(
    "fault",
    [
        error(500, "boom"),
        error(503, "loading"),
        error(429, "slow down"),
        "drop",
        "half",
        (200, {"choices": [{"token_ids": [], "finish_reason": "abort"}]}),
    ],
)
def test_a_passing_fault_is_tried_again(fault):
    completions, asked = ask([fault, fault, (200, GOOD)])
    assert completions == [Completion([7, 2], "stop")]
    assert asked[0] == asked[1] == asked[2]


def test_a_lasting_fault_ends_in_an_infrastructure_error_after_bounded_tries():
    with pytest.raises(InfraError, match="failed 3 times, last: HTTP 500 boom"):
        ask([error(500, "boom")])
    with pytest.raises(InfraError, match="failed 2 times, last: TimeoutError"):
        ask(["hang"], timeout_s=0.1, retry_delays_s=(0.01,))


def test_a_server_that_is_gone_is_an_infrastructure_error():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"

    async def run():
        client = CompletionClient([url], "m", 5.0, (0.01,))
        await client.complete(client.choose_url(), [1], SAMPLING, 0)

    with pytest.raises(InfraError, match="failed 2 times"):
        asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (error(400, "too long", param="input_tokens"), ContextOverflow, "too long"),
        (error(400, "This model's maximum context length is 8 tokens"), ContextOverflow, "8 tokens"),
        (error(400, "bad top_p", param="top_p"), ConfigError, "HTTP 400: bad top_p"),
        (error(401, "who are you"), ConfigError, "HTTP 401.*check the key"),
        (error(404, "it serves `base`"), ConfigError, "does not serve the model 'm': it serves `base`"),
        ((200, {"choices": [{"text": "x", "finish_reason": "stop"}]}), ConfigError, "no token ids"),
    ],
)
def test_what_no_retry_can_mend_is_asked_once(answer, kind, text):
    with pytest.raises(kind, match=text):
        ask([answer, (200, GOOD)])


def test_many_requests_run_at_once_and_one_client_serves_several_loops():
    completions, _ = ask([(200, GOOD)], num_requests=300)
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
        client = CompletionClient(urls, "m", 5.0, (0.01,))

        async def one():
            return await client.complete(client.choose_url(), [1], SAMPLING, 0)

        tasks = []
        for _ in range(6):
            tasks.append(asyncio.create_task(one()))
            await asyncio.sleep(0.1)
        assert seen == {"good": 2, "bad": 2, "slow": 2}
        release.set()
        served = {url for _, url in await asyncio.gather(*tasks)}
        assert served == {f"{urls[0]}/v1/completions", f"{urls[2]}/v1/completions"}
        for runner in runners:
            await runner.cleanup()

    asyncio.run(run())
