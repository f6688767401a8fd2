import asyncio

import pytest

from t2t.models.scripted import ScriptedChat, ScriptExhausted
from t2t.records import Message, ToolCall

USER = Message(role="user", content="hello")


def test_replies_come_in_order_with_ids_that_run_on_and_every_talk_begins_anew():
    call = '<tool_call>{"name":"f","arguments":{}}</tool_call>'
    model = ScriptedChat([call + call, "Bye.", call])
    for _ in range(2):
        session = model.open("[]", seed=3)
        replies = [asyncio.run(session.reply([USER])) for _ in range(3)]
        assert [[c.id for c in reply.message.tool_calls] for reply in replies] == [["call_1", "call_2"], [], ["call_3"]]
        assert replies[1].message.content == "Bye."
        assert replies[0].turn.sampled_ids == ()
        with pytest.raises(ScriptExhausted, match="3 replies"):
            asyncio.run(session.reply([USER]))


def test_messages_are_taken_as_they_are_and_malformed_strings_keep_their_problem():
    message = Message(role="assistant", content="", tool_calls=(ToolCall(id="mine", name="f", arguments={}),))
    session = ScriptedChat([message, "<tool_call>"]).open("[]")
    assert asyncio.run(session.reply([USER])).message == message
    assert asyncio.run(session.reply([USER])).problem == "the text ends after <tool_call>"


def test_a_function_sees_the_talk_so_far():
    session = ScriptedChat(lambda messages: f"{len(messages)} {messages[-1].content}").open("[]")
    assert asyncio.run(session.reply([USER, USER])).message.content == "2 hello"
    assert asyncio.run(session.reply([USER])).message.content == "4 hello"
