"""What a vLLM server says of its load, read from its ``/metrics``."""

from typing import NamedTuple

import aiohttp

_TIMEOUT = aiohttp.ClientTimeout(total=5)
_OK = 200
_NAMES = {
    "vllm:kv_cache_usage_perc": "kv_cache_usage",
    "vllm:num_requests_running": "num_running",
    "vllm:num_requests_waiting": "num_waiting",
    "vllm:num_preemptions_total": "num_preemptions",
    "vllm:prefix_cache_queries_total": "prefix_queries",
    "vllm:prefix_cache_hits_total": "prefix_hits",
    "vllm:prompt_tokens_total": "prompt_tokens",
    "vllm:generation_tokens_total": "generation_tokens",
}


class EngineMetrics(NamedTuple):
    """A server's load at a moment, all its engines together; counters run from its start."""

    kv_cache_usage: float = 0.0
    """Share of the KV cache in use, 0 to 1, of the fullest engine."""
    num_running: int = 0
    """Requests being served."""
    num_waiting: int = 0
    """Requests in the queue."""
    num_preemptions: int = 0
    """Requests thrown out of the cache so far."""
    prefix_queries: int = 0
    """Prompt tokens looked up in the prefix cache so far."""
    prefix_hits: int = 0
    """Prompt tokens found there so far."""
    prompt_tokens: int = 0
    """Prompt tokens so far, found in the cache or not."""
    generation_tokens: int = 0
    """Sampled tokens so far."""


async def read_metrics(base_url: str) -> EngineMetrics | None:
    """Ask a server, such as ``http://127.0.0.1:8000``; None where it shows no such metrics or does not answer."""
    url = f"{base_url.rstrip('/').removesuffix('/v1')}/metrics"
    try:
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, session.get(url) as response:
            text = await response.text() if response.status == _OK else ""
    except (aiohttp.ClientError, OSError, TimeoutError):
        return None
    return parse_metrics(text)


def parse_metrics(text: str) -> EngineMetrics | None:
    """The figures in a Prometheus text; None where there is none of vLLM's."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        name, _, rest = line.partition("{") if "{" in line else line.partition(" ")
        field = _NAMES.get(name.strip())
        if field is None:
            continue
        value = float(rest.rpartition(" ")[2])
        found[field] = max(found.get(field, 0.0), value) if field == "kv_cache_usage" else found.get(field, 0.0) + value
    if not found:
        return None
    usage = found.pop("kv_cache_usage", 0.0)
    return EngineMetrics(usage, **{field: int(value) for field, value in found.items()})
