import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from t2t.errors import InfraError
from t2t.journal import Journal
from t2t.models.chat import Reply
from t2t.models.journaled import JournaledChat
from t2t.records import Message, Turn


class CountingModel:
    """A model whose reply tells all that it depends on, and which breaks down after so many replies."""

    def __init__(self, breaks_after: int = 10**9) -> None:
        self.left = breaks_after
        self.num_replies = 0

    def open(self, tools: str, seed: int = 0) -> "CountingSession":
        return CountingSession(self, tools, seed)


class CountingSession:
    def __init__(self, model: CountingModel, tools: str, seed: int) -> None:
        self.model, self.tools, self.seed = model, tools, seed
        self.history: list[str] = []

    async def reply(self, messages: Sequence[Message]) -> Reply:
        if not self.model.left:
            raise InfraError("gone")
        self.model.left -= 1
        self.model.num_replies += 1
        self.history += [f"{message.role}:{message.content}" for message in messages]
        text = f"{self.tools}/{self.seed}/{len(self.history)}/{hash(tuple(self.history))}"
        self.history.append(f"assistant:{text}")
        self.seed += 1
        return Reply(
            Message(role="assistant", content=text), Turn(sampled_ids=(1, 2), finish_reason="stop"), "a problem"
        )


def talk(model, turns: int, tools: str = "[]", seed: int = 2**31 - 2) -> list[Reply]:
    async def run():
        session = model.open(tools, seed)
        return [await session.reply([Message(role="user", content=f"turn {turn}")]) for turn in range(turns)]

    return asyncio.run(run())


class Wrapping(CountingModel):
    """The counting model with seeds that stay below 2**31, as those of services do."""

    def open(self, tools, seed=0):
        session = super().open(tools, seed)
        real = session.reply

        async def reply(messages):
            session.seed %= 2**31
            return await real(messages)

        session.reply = reply
        return session


@pytest.mark.parametrize("num_first", range(6))
def test_a_talk_goes_on_as_if_it_had_never_stopped(tmp_path: Path, num_first: int):
    expected = talk(Wrapping(), 5)
    broken, fresh = Wrapping(breaks_after=num_first), Wrapping()
    with Journal(tmp_path / "replies.jsonl") as journal:
        if num_first < 5:
            with pytest.raises(InfraError):
                talk(JournaledChat(broken, journal, "m"), 5)
        else:
            talk(JournaledChat(broken, journal, "m"), 5)
    with Journal(tmp_path / "replies.jsonl") as journal:
        assert talk(JournaledChat(fresh, journal, "m"), 5) == expected
        assert talk(JournaledChat(Wrapping(breaks_after=0), journal, "m"), 5) == expected
    assert (broken.num_replies, fresh.num_replies) == (num_first, 5 - num_first)


def test_a_reply_is_that_of_another_talk_only_if_everything_before_it_is_the_same(tmp_path: Path):
    model = CountingModel()
    with Journal(tmp_path / "replies.jsonl") as journal:
        talk(JournaledChat(model, journal, "m"), 2, "[]", 1)
        for name, tools, seed in (("n", "[]", 1), ("m", "[{}]", 1), ("m", "[]", 2)):
            asked = model.num_replies
            talk(JournaledChat(model, journal, name), 2, tools, seed)
            assert model.num_replies == asked + 2

        async def other_words():
            session = JournaledChat(model, journal, "m").open("[]", 1)
            await session.reply([Message(role="user", content="turn 0")])
            assert model.num_replies == asked
            await session.reply([Message(role="user", content="other words")])
            assert model.num_replies == asked + 1

        asked = model.num_replies
        asyncio.run(other_words())


def test_a_reply_that_failed_can_be_asked_for_again(tmp_path: Path):
    model = CountingModel(breaks_after=1)
    with Journal(tmp_path / "replies.jsonl") as journal:

        async def run():
            session = JournaledChat(model, journal, "m").open("[]", 5)
            first = await session.reply([Message(role="user", content="turn 0")])
            with pytest.raises(InfraError):
                await session.reply([Message(role="user", content="turn 1")])
            model.left = 1
            return [first, await session.reply([Message(role="user", content="turn 1")])]

        assert asyncio.run(run()) == talk(CountingModel(), 2, "[]", 5)


def test_equal_talks_that_a_model_answers_differently_at_once_are_kept_apart(tmp_path: Path):
    class Moody(CountingModel):
        def open(self, tools: str, seed: int = 0) -> "MoodySession":
            return MoodySession(self, tools, seed)

    class MoodySession(CountingSession):
        async def reply(self, messages: Sequence[Message]) -> Reply:
            await asyncio.sleep(0)
            self.tools = f"mood {self.model.num_replies}"
            return await super().reply(messages)

    async def two(model) -> list[Reply]:
        """Two equal talks, turn by turn beside each other."""
        sessions = [model.open("[]", 1), model.open("[]", 1)]
        return [
            reply
            for turn in range(2)
            for reply in await asyncio.gather(
                *(session.reply([Message(role="user", content=f"turn {turn}")]) for session in sessions)
            )
        ]

    with Journal(tmp_path / "replies.jsonl") as journal:
        first, other, after_first, after_other = asyncio.run(two(JournaledChat(Moody(), journal, "m")))
        assert first != other and after_first != after_other and len(journal) == 3
        again = asyncio.run(two(JournaledChat(CountingModel(breaks_after=0), journal, "m")))
    assert again == [first, first, after_first, after_first]
