"""What a request costs when thousands wait: as much as when a few do."""

import asyncio
import resource
import subprocess
import sys

import pytest

from t2t.models.completions import CompletionClient, Sampling, ids_text

SAMPLING = Sampling(max_tokens=5, temperature=0.0, top_p=1.0, stop_id=2)
QUEUED = 16_000
# Answers in its own time, so that all requests are under way together.
SERVER = """
import asyncio, resource, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
REPLY = b'{"choices":[{"token_ids":[7,2],"finish_reason":"stop","text":"x"}]}'
ANSWER = b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%b" % (len(REPLY), REPLY)
class Server(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.received = transport, b""
    def data_received(self, data):
        self.received += data
        head, found, body = self.received.partition(b"\\r\\n\\r\\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0]) if found else 1
        if len(body) >= length:
            self.received = b""
            asyncio.get_running_loop().call_later(float(sys.argv[1]), self.transport.write, ANSWER)
async def main():
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def cpu_per_request(count: int, at_once: int, delay_s: float) -> float:
    """Seconds of this process's CPU for each of `count` requests, `at_once` of them under way together."""
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(delay_s)], stdout=subprocess.PIPE, text=True)

    async def run() -> float:
        client = CompletionClient([f"http://127.0.0.1:{int(server.stdout.readline())}"], "m", 300.0, 300.0)
        left = count

        async def work() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                await client.complete(ids_text([1] * 50), SAMPLING, 5, 0, prefer=client.choose_url())

        before = used()
        await asyncio.gather(*(work() for _ in range(at_once)))
        assert client.requests == count and not client.faults
        return (used() - before) / count

    try:
        return asyncio.run(run())
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@pytest.mark.slow
def test_a_request_costs_the_same_when_sixteen_thousand_wait():
    # Both open a connection for each request; a search among the waiting would cost the many eight times more. The
    # kernel's own search for a free port costs them up to twice as much.
    few, many = cpu_per_request(QUEUED // 8, QUEUED // 8, 2.0), cpu_per_request(QUEUED, QUEUED, 5.0)
    sys.stdout.write(f"CPU per request: {few * 1e6:.0f} us at {QUEUED // 8}, {many * 1e6:.0f} us at {QUEUED}\n")
    assert many < 3 * few
