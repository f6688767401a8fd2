import asyncio
import json

import pytest
from aiohttp import web

from t2t.config import ApiConfig
from t2t.errors import ConfigError, InfraError
from t2t.models.api import ApiChat
from t2t.models.chat import ContextOverflow, Reply
from t2t.records import Message, ToolCall, ToolResult

TOOLS = '[{"type":"function","function":{"name":"look","description":"Look.","parameters":{"type":"object"}}}]'
ASK = [Message(role="system", content="You are here."), Message(role="user", content="What is there?")]


def said(content, *calls, finish="stop"):
    return {
        "choices": [
            {
                "message": {
                    "content": content,
                    "tool_calls": [
                        {"id": f"c{place}", "type": "function", "function": {"name": name, "arguments": arguments}}
                        for place, (name, arguments) in enumerate(calls)
                    ]
                    or None,
                },
                "finish_reason": finish,
            }
        ]
    }


def talk(
    answers, turns, *, env: str = "", tools: str = TOOLS, args=None
) -> tuple[list[Reply], list[tuple[dict, dict]]]:
    """Replies of a session to `turns`, from an endpoint that gives these answers in turn; and what it was sent."""
    asked: list[tuple[dict, dict]] = []

    async def answer(request: web.Request) -> web.Response:
        status, body, *more = answers[len(asked)]
        asked.append((await request.json(), dict(request.headers)))
        return web.json_response(body, status=status, headers=more[0] if more else None)

    async def run() -> list[Reply]:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        settings = ApiConfig(
            base_urls=(f"http://127.0.0.1:{runner.addresses[0][1]}/v1",),
            model="m",
            api_key_env=env,
            args=args or {"top_p": 0.5},
            patience_s=0.3,
        )
        try:
            session = ApiChat(settings).open(tools, seed=3)
            return [await session.reply(messages) for messages in turns]
        finally:
            await runner.cleanup()

    return asyncio.run(run()), asked


def test_a_talk_travels_whole_with_arguments_as_text():
    result = ToolResult(call_id="c0", name="look", content="a lamp", is_error=False)
    replies, asked = talk(
        [(200, said(None, ("look", '{"where":"left"}'), finish="tool_calls")), (200, said(" A lamp. "))],
        [ASK, [Message(role="tool", content="a lamp", result=result)]],
    )
    call = ToolCall(id="c0", name="look", arguments={"where": "left"})
    assert replies[0].message == Message(role="assistant", content="", tool_calls=(call,))
    assert replies[1].message == Message(role="assistant", content="A lamp.")
    body = asked[1][0]
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "tool"]
    assert body["messages"][2]["tool_calls"][0]["function"]["arguments"] == '{"where":"left"}'
    assert body["messages"][3]["tool_call_id"] == "c0"
    assert (body["model"], body["top_p"], body["tools"]) == ("m", 0.5, json.loads(TOOLS))
    assert [one["seed"] for one, _ in asked] == [3, 4]


def test_no_tools_are_sent_where_there_are_none():
    _, asked = talk([(200, said("Hello."))], [ASK], tools="")
    assert "tools" not in asked[0][0]


@pytest.mark.parametrize("arguments", ["{", '["x"]'])
def test_a_call_that_cannot_be_read_is_the_models_mistake(arguments):
    replies, _ = talk([(200, said("", ("look", arguments)))], [ASK])
    assert "look" in replies[0].problem and not replies[0].message.tool_calls


def test_a_fault_is_tried_again_and_ends_as_one_of_the_service():
    busy = (429, {"error": {"message": "slow down"}}, {"Retry-After": "0"})
    replies, asked = talk([busy, (500, {}), (200, said("Hello."))], [ASK])
    assert replies[0].message.content == "Hello." and len(asked) == 3
    with pytest.raises(InfraError, match="failed [2-9] times within patience_s=0.3, last: .*no chat completion"):
        talk([(200, {"choices": []})] * 9, [ASK])


def shaped(**message):
    return {"choices": [{"message": message, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": [{"finish_reason": "stop"}]},
        {"choices": [{"message": "Hello."}]},
        shaped(content=["Hello."]),
        shaped(content="", tool_calls=[{"id": "c0"}]),
        shaped(content="", tool_calls=[{"id": 0, "function": {"name": "look", "arguments": "{}"}}]),
        shaped(content="", tool_calls=[{"id": "c0", "function": {"name": "look", "arguments": {"x": 1}}}]),
        {"choices": [{"message": {"content": "Hel"}, "finish_reason": "abort"}]},
        ["choices"],
    ],
)
def test_what_is_no_completion_is_a_fault_of_the_service(answer):
    replies, asked = talk([(200, answer), (200, said("Hello."))], [ASK])
    assert replies[0].message.content == "Hello." and len(asked) == 2


def test_a_setting_of_the_request_comes_before_ours():
    _, asked = talk([(200, said("Hello.")), (200, said("Hello."))], [ASK, ASK], args={"seed": 7, "max_tokens": 9})
    assert [(body["seed"], body["max_tokens"]) for body, _ in asked] == [(7, 9)] * 2


def test_a_prompt_that_is_too_long_is_an_overflow():
    refused = {"error": {"message": "too many tokens", "code": "context_length_exceeded"}}
    with pytest.raises(ContextOverflow):
        talk([(400, refused)], [ASK])


def test_the_key_is_sent_and_said_nowhere(monkeypatch):
    monkeypatch.setenv("T2T_TEST_KEY", "canary-5f3a")
    _, asked = talk([(200, said("Hello."))], [ASK], env="T2T_TEST_KEY")
    assert asked[0][1]["Authorization"] == "Bearer canary-5f3a"
    with pytest.raises(ConfigError, match="check the key") as refused:
        talk([(401, {"error": {"message": "wrong key canary-5f3a"}})], [ASK], env="T2T_TEST_KEY")
    assert "canary" not in str(refused.value)


def test_what_is_missing_is_named_before_anything_is_sent(monkeypatch):
    monkeypatch.delenv("T2T_TEST_KEY", raising=False)
    with pytest.raises(ConfigError, match="T2T_TEST_KEY"):
        ApiChat(ApiConfig(base_urls=("http://127.0.0.1:1",), model="m", api_key_env="T2T_TEST_KEY"))
    with pytest.raises(ConfigError, match="base_urls"):
        ApiChat(ApiConfig(model="m"))
