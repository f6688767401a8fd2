"""How many talks are under way at once: a fixed number, or what the engines can take."""

from t2t.models.metrics import EngineMetrics

_START = 16
_UNKNOWN = 64
"""Talks at once with services that show no metrics."""
_MOST = 4096
_LEAST = 4
_FULL = 0.97
"""Share of the KV cache above which requests throw each other out."""
_ROOMY = 0.93
"""Share of the KV cache below which more talks are let in."""
_HALF = 0.5
"""Share of the KV cache above which they are let in carefully."""
_GROWTH, _CAREFUL_GROWTH = 1.3, 1.04
_CUT = 0.9
_REST = 5
"""Readings without growth after a cut."""


class Limit:
    """A number of talks that follows the engines' metrics.

    It grows while the engines take all requests at once and their cache has room, holds while a queue keeps them
    busy, and is cut when the cache is full, when requests were thrown out of it, or when a service says that it is
    asked too much.

    Args:
        fixed: Talks at once; 0 follows the metrics.
        start: Where to begin; 0 chooses.
    """

    def __init__(self, fixed: int, start: int = 0) -> None:
        self._fixed = fixed
        self._rest = 0
        self._seen = False
        self.value = fixed or start or _START
        """Talks that may be under way now."""

    def follow(self, metrics: EngineMetrics | None, in_flight: int, *, preempted: int = 0, overloaded: int = 0) -> None:
        """Take a reading, about once a second.

        Args:
            metrics: All engines together; None where they show none.
            in_flight: Talks under way.
            preempted: Requests that were thrown out of the cache since the last reading.
            overloaded: Times since then that a service said it is asked too much.
        """
        if self._fixed:
            return
        if overloaded:
            self._cut(in_flight)
            return
        if metrics is None:
            if not self._seen:
                self.value = max(self.value, _UNKNOWN)
            return
        self._seen = True
        if preempted or metrics.kv_cache_usage > _FULL:
            self._cut(in_flight)
            return
        if self._rest:
            self._rest -= 1
            return
        queued = metrics.num_waiting > max(2, metrics.num_running // 8)
        binding = in_flight >= self.value
        if binding and not queued and metrics.kv_cache_usage < _ROOMY:
            careful = metrics.kv_cache_usage > _HALF
            grown = self.value * (_CAREFUL_GROWTH if careful else _GROWTH)
            self.value = min(_MOST, max(self.value + (1 if careful else 4), int(grown)))
        elif metrics.num_waiting > max(4, metrics.num_running):
            # As many wait as are served: more talks only hold cache that others could use.
            self.value = max(_LEAST, in_flight - metrics.num_waiting // 2)

    def _cut(self, in_flight: int) -> None:
        self.value = max(_LEAST, int(min(self.value, in_flight) * _CUT))
        self._rest = _REST
