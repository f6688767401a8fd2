"""The engines as seen from outside: read once a second, for the limit and for who watches."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from t2t.models.metrics import EngineMetrics, read_metrics

_SECONDS_BETWEEN_READINGS = 1.0
_WINDOW = 20
"""Readings that rates are taken over."""


class Totals(NamedTuple):
    """Counters of all engines since the first reading; an engine that began anew goes on counting."""

    generated_tokens: int = 0
    prompt_tokens: int = 0
    prefix_queries: int = 0
    """Tokens looked up in the prefix cache."""
    prefix_hits: int = 0
    """Tokens found there."""
    preemptions: int = 0

    def plus(self, other: "Totals") -> "Totals":
        """The sums."""
        return Totals(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    def minus(self, other: "Totals") -> "Totals":
        """The differences."""
        return Totals(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))


class Monitor:
    """Reads the metrics of servers.

    Args:
        base_urls: The servers.
        reading: Is called after each reading with all engines' metrics together, None where they show none, and
            the number of requests that were thrown out of the cache since the reading before.
    """

    def __init__(self, base_urls: Sequence[str], reading: Callable[[EngineMetrics | None, int], None]) -> None:
        self._base_urls = tuple(base_urls)
        self._reading = reading
        self._last: dict[str, EngineMetrics] = {}
        self.totals = Totals()
        """Counters so far."""
        self._history: deque[tuple[float, Totals]] = deque(maxlen=_WINDOW)

    def move(self, base_urls: Sequence[str]) -> None:
        """Read these servers from now on."""
        self._base_urls = tuple(base_urls)

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self.read()
            await asyncio.sleep(_SECONDS_BETWEEN_READINGS)

    async def read(self) -> None:
        """Take one reading."""
        base_urls = self._base_urls
        found = await asyncio.gather(*map(read_metrics, base_urls))
        before = self.totals
        for base_url, metrics in zip(base_urls, found, strict=True):
            if metrics is not None:
                first = base_url not in self._last
                last = Totals() if first else _counters(self._last[base_url])
                now = _counters(metrics)
                # A server that was started again counts from 0.
                restarted = any(later < earlier for later, earlier in zip(now, last, strict=True))
                self.totals = self.totals.plus(Totals() if first else now if restarted else now.minus(last))
                self._last[base_url] = metrics
        self._history.append((time.monotonic(), self.totals))
        shown = [metrics for metrics in found if metrics is not None]
        self._reading(_together(shown) if shown else None, self.totals.preemptions - before.preemptions)

    def note(self) -> list[str]:
        """Generated tokens per second and the share of prompt tokens found in the cache, over the last seconds."""
        if len(self._history) < 2:
            return []
        (began, first), (ended, last) = self._history[0], self._history[-1]
        rate = (last.generated_tokens - first.generated_tokens) / max(ended - began, 1e-6)
        notes = [f"{rate / 1000:.1f}k tok/s" if rate >= 1000 else f"{rate:.0f} tok/s"] if last != Totals() else []
        if queries := last.prefix_queries - first.prefix_queries:
            notes.append(f"cache {(last.prefix_hits - first.prefix_hits) / queries:.0%}")
        return notes


def _counters(metrics: EngineMetrics) -> Totals:
    return Totals(
        metrics.generation_tokens,
        metrics.prompt_tokens,
        metrics.prefix_queries,
        metrics.prefix_hits,
        metrics.num_preemptions,
    )


def _together(found: Sequence[EngineMetrics]) -> EngineMetrics:
    return EngineMetrics(
        kv_cache_usage=max(one.kv_cache_usage for one in found),
        num_running=sum(one.num_running for one in found),
        num_waiting=sum(one.num_waiting for one in found),
        num_preemptions=sum(one.num_preemptions for one in found),
        prefix_queries=sum(one.prefix_queries for one in found),
        prefix_hits=sum(one.prefix_hits for one in found),
        prompt_tokens=sum(one.prompt_tokens for one in found),
        generation_tokens=sum(one.generation_tokens for one in found),
    )
