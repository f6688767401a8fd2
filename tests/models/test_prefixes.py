import asyncio

import pytest

from t2t.models.vllm import Prefixes


def run_talks(prefixes: Prefixes, systems: list[str], fails: int = -1) -> list[str]:
    order: list[str] = []

    async def talk(number: int, system: str) -> None:
        async with prefixes.turn("url", system):
            order.append(f"in {number}")
            await asyncio.sleep(0)
            if number == fails:
                raise ConnectionError
            order.append(f"out {number}")

    async def main() -> None:
        await asyncio.gather(*(talk(*item) for item in enumerate(systems)), return_exceptions=True)

    asyncio.run(main())
    return order


def test_the_first_talk_with_a_prompt_goes_ahead_alone_and_the_rest_together():
    assert run_talks(Prefixes(), ["s"] * 3) == ["in 0", "out 0", "in 1", "in 2", "out 1", "out 2"]


def test_turns_that_begin_no_talk_never_wait():
    assert run_talks(Prefixes(), ["", ""]) == ["in 0", "in 1", "out 0", "out 1"]


@pytest.mark.parametrize("systems", [["s", "s", "s"]])
def test_when_the_first_fails_the_next_goes_ahead(systems: list[str]):
    assert run_talks(Prefixes(), systems, fails=0) == ["in 0", "in 1", "out 1", "in 2", "out 2"]
