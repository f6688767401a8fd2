"""The limit against engines whose capacity is known."""

import pytest

from t2t.models.metrics import EngineMetrics
from t2t.scheduling.limit import Limit


class Engine:
    """Serves at most `slots` requests at once, and has cache for `room` talks: more than these evict each other."""

    def __init__(self, slots: int, room: int) -> None:
        self.slots, self.room = slots, room

    def metrics(self, in_flight: int) -> tuple[EngineMetrics, int]:
        running = min(in_flight, self.slots, self.room)
        return EngineMetrics(running / self.room, running, in_flight - running), int(in_flight > 1.2 * self.room)

    def speed(self, in_flight: int) -> float:
        """Tokens a second: rises with the batch, falls once talks compute again what was evicted."""
        return min(in_flight, self.slots, self.room) ** 0.7 * min(1.0, self.room / in_flight)


def settle(limit: Limit, engine: Engine, readings: int = 160) -> list[int]:
    values: list[int] = []
    for _ in range(readings):
        metrics, preempted = engine.metrics(limit.value)
        limit.follow(metrics, limit.value, preempted=preempted)
        values.append(limit.value)
    return values


@pytest.mark.parametrize(
    ("slots", "room"), [(4, 999), (32, 999), (256, 9999), (1024, 99999), (256, 60), (512, 200), (64, 64), (9999, 3000)]
)
def test_it_settles_within_5_percent_of_the_best_fixed_number(slots: int, room: int):
    engine = Engine(slots, room)
    values = settle(Limit(0), engine)[60:]
    best = max(engine.speed(number) for number in range(1, 2 * min(slots, room)))
    assert sum(map(engine.speed, values)) / len(values) >= 0.95 * best
    assert max(values) <= 2 * min(slots, room) + 8


def test_it_does_not_grow_while_nobody_uses_what_it_allows():
    limit = Limit(0)
    before = limit.value
    for _ in range(50):
        limit.follow(EngineMetrics(0.1, 3, 0), in_flight=3)
    assert limit.value == before


def test_a_service_that_is_asked_too_much_is_asked_less():
    limit = Limit(0, start=100)
    limit.follow(None, in_flight=100, overloaded=7)
    assert limit.value == 90
    for _ in range(200):
        limit.follow(None, in_flight=limit.value, overloaded=1)
    assert limit.value >= 1


def test_a_fixed_number_stays():
    limit = Limit(9)
    limit.follow(EngineMetrics(1.0, 9, 99), in_flight=9, preempted=5, overloaded=5)
    assert limit.value == 9


def test_without_metrics_there_is_a_number_to_live_with():
    limit = Limit(0)
    limit.follow(None, in_flight=limit.value)
    assert limit.value == 64
