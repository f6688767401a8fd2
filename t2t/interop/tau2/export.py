"""t2t's domains and tasks as tau2's environment, evaluator and runner take them.

A domain becomes a tau2 environment whose tools are t2t's, schema and answers included, and whose
database hash is t2t's state hash; a task names its data in ``initialization_data``. tau2's basis is DB
and COMMUNICATE: both databases end as after the reference calls, and what must be told stands in some
message. What that basis cannot say:

- A refusal. The task carries it as ``nl_assertions``, outside the basis, for who has a judge. For tau2 an
  infeasible task is solved by whoever changes nothing else, silence included, and a forbidden call that
  was undone goes unseen.
- Words and dates. tau2 finds a text inside a longer word ("5.00" in "15.00") and no date but the ISO one.

Tasks that were written on tau2's own data are for tau2's own environment; they need no wrapper. Where a
call of telecom makes a new bill, tau2 draws its id at random, and no talk can end in the reference's state.
"""

import inspect
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
from pydantic import JsonValue

from t2t.domain.domain import Domain, load_domain
from t2t.domain.environment import Environment
from t2t.domain.tool import Tool
from t2t.errors import ConfigError
from t2t.explore.program import Coverage, explore
from t2t.intents.compose import write_task
from t2t.intents.scene import Scene, Unsuitable
from t2t.interop.tau2.source import Side, import_tau2
from t2t.records import DataSpec, Intent, Split, Task, ToolCall
from t2t.store import read_records
from t2t.verify.validation import prove

_TRAJECTORIES_PER_TASK = 4
_MAX_STEPS = 12
_BLOCKED_SHARE = 0.3
_OWN_DATA = "tau2."
_USAGE = "t2t tau2 export domain=NAME out=FOLDER [tasks=FILE | count=40 split=test size=120 seed=0]"

_LOADER = '''\
"""{count} tasks of t2t's domain {domain!r} for tau2; importing this registers them as {name!r}.

Run as a program, this is tau2's command line with them: ``python {file} run --domain {name} ...``.
"""

from pathlib import Path

from t2t.interop.tau2.export import register

register("{domain}", Path(__file__).with_name("tasks.json"))

if __name__ == "__main__":
    from tau2.cli import main

    main()
'''


def export_command(words: Sequence[str]) -> None:
    """``t2t tau2 export``: write tasks and the module that registers them, see `write`.

    Raises:
        ConfigError: a word is no setting, or a value cannot be.
    """
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    known = {"domain", "out", "tasks", "count", "split", "size", "seed"}
    if len(settings) < len(words) or not {"domain", "out"} <= settings.keys() <= known:
        raise ConfigError(f"write {_USAGE}")
    domain = load_domain(settings["domain"])
    if "tasks" in settings:
        file = Path(settings["tasks"])
        found = read_records(file, Task) if file.is_file() else ()
        tasks = [task for task in found if task.domain == domain.name]
        if not tasks:
            raise ConfigError(f"tasks={settings['tasks']}: no task of {domain.name!r} is in it")
    else:
        numbers = {
            name: settings.get(name, default) for name, default in (("count", "40"), ("size", "120"), ("seed", "0"))
        }
        for name, value in numbers.items():
            if not value.isdecimal():
                raise ConfigError(f"{name}={value}: not a number")
        split = _read_split(settings.get("split", "test"))
        data = DataSpec(seed=int(numbers["seed"]), size=int(numbers["size"]), split=split)
        tasks = list(make_tasks(domain, data, int(numbers["count"])))
    file = write(domain, tasks, Path(settings["out"]))
    sys.stdout.write(orjson.dumps({"num_tasks": len(tasks), "file": str(file)}).decode() + "\n")


def write(domain: Domain, tasks: Sequence[Task], out: Path) -> Path:
    """Write ``tasks.json`` and a module that registers domain and tasks with tau2.

    Returns:
        The module's file, ``t2t_<domain>.py`` in `out`.

    Raises:
        ConfigError: a task cannot be exported.
    """
    name = exported_name(domain.name)
    exported = [export_task(task) for task in tasks]
    out.mkdir(parents=True, exist_ok=True)
    (out / "tasks.json").write_bytes(orjson.dumps(exported, option=orjson.OPT_INDENT_2))
    file = out / f"{name}.py"
    file.write_text(_LOADER.format(count=len(tasks), domain=domain.name, name=name, file=file.name), encoding="utf-8")
    return file


def make_tasks(domain: Domain, data: DataSpec, count: int) -> Iterator[Task]:
    """Proved tasks, as many of each intent, or fewer of one that the domain's trajectories seldom allow.

    Args:
        domain: The domain.
        data: Its data; the wordings are those of the same split.
        count: Tasks at most.

    Raises:
        ConfigError: the data allow too few trajectories.
    """
    left = Counter({intent: (count + place) // len(Intent) for place, intent in enumerate(Intent)})
    openings: set[str] = set()
    trajectories = explore(
        domain,
        data,
        count * _TRAJECTORIES_PER_TASK,
        max_steps=_MAX_STEPS,
        blocked_share=_BLOCKED_SHARE,
        seed=data.seed,
        coverage=Coverage(),
    )
    for trajectory in trajectories:
        for intent, _ in left.most_common():
            rng = random.Random(f"export/{trajectory.id}/{intent.value}")
            try:
                task = write_task(intent, Scene(domain, trajectory, rng), data.split, rng)
            except Unsuitable:
                continue
            if task.scenario.opening not in openings and not prove(domain, task):
                openings.add(task.scenario.opening)
                left[intent] -= 1
                yield task
                break
        left = +left
        if not left:
            return


def exported_name(domain: str) -> str:
    """How tau2 calls a domain of t2t and its tasks: tau2 has domains of the same names."""
    return f"t2t_{domain.replace('.', '_')}"


def export_task(task: Task) -> dict[str, JsonValue]:
    """A task as tau2's ``tasks.json`` has it.

    Raises:
        ConfigError: it is one of tau2's own.
    """
    scenario, expected = task.scenario, task.expectation
    own_data = task.domain.startswith(_OWN_DATA)
    if own_data and not task.data.size:
        raise ConfigError(f"task {task.id!r} is tau2's own; tau2 has it")
    actions: list[JsonValue] = [
        {"action_id": call.id, "requestor": call.requestor, "name": call.name, "arguments": call.arguments}
        for call in expected.calls
    ]
    criteria: dict[str, JsonValue] = {
        "actions": actions,
        # tau2 takes the commas out of messages before it looks for a text, but not out of the text.
        "communicate_info": [text.replace(",", "") for text in expected.tell],
        "reward_basis": ["DB", "COMMUNICATE"],
    }
    if expected.refusal is not None:
        reasons = ", ".join(repr(cue) for cue in expected.refusal.cues)
        criteria["nl_assertions"] = [f"The agent refuses, naming the reason by one of: {reasons}."]
    initial: JsonValue = None
    if not own_data:
        initial = {"initialization_data": {"agent_data": task.data.model_dump(mode="json")}}
    return {
        "id": task.id,
        "description": {"purpose": f"A caller whose intent is {task.intent.value}.", "notes": task.data.split},
        "user_scenario": {
            "instructions": {
                "domain": task.domain,
                "reason_for_call": scenario.reason_for_call,
                "known_info": scenario.known_info,
                "unknown_info": scenario.unknown_info,
                "task_instructions": scenario.task_instructions,
            }
        },
        "initial_state": initial,
        "evaluation_criteria": criteria,
    }


def register(domain_name: str, tasks_file: Path) -> str:
    """Register a domain and the tasks that were exported of it with tau2's registry.

    Returns:
        The name that tau2 knows both by, `exported_name`.

    Raises:
        ConfigError: tau2 is not installed, or there is no such domain.
    """
    registry = import_tau2("registry").registry
    kind = import_tau2("data_model.tasks").Task
    name = exported_name(domain_name)
    raw = orjson.loads(tasks_file.read_bytes())
    tasks = [kind.model_validate(row) for row in raw]
    splits: dict[str, list[str]] = {"base": [task.id for task in tasks]}
    for split in ("train", "test"):
        splits[split] = [row["id"] for row in raw if row["description"]["notes"] == split]

    def load(split: str | None = "base") -> list[Any]:
        return [task for task in tasks if task.id in splits[split or "base"]]

    registry.register_domain(_constructor(domain_name), name)
    registry.register_tasks(load, name, lambda: splits)
    return name


def _constructor(domain_name: str) -> Callable[..., Any]:
    """What makes a fresh environment for tau2: t2t's domain wrapped, or tau2's own."""
    if domain_name.startswith(_OWN_DATA):
        constructor: Callable[..., Any] = import_tau2("registry").registry.get_env_constructor(
            domain_name.removeprefix(_OWN_DATA)
        )
        return constructor
    domain = load_domain(domain_name)

    def make(solo_mode: bool = False) -> Any:
        if solo_mode:
            raise ValueError("t2t's tasks have a caller; tau2's solo mode has none")
        return _environment_class()(domain)

    return make


def _read_split(word: str) -> Split:
    if word == "train" or word == "test":
        return word
    raise ConfigError(f"split={word}: write train or test")


class _Live:
    """The environment of t2t behind one of tau2's, shared by its two kits of tools."""

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self._environment: Environment | None = None

    @property
    def environment(self) -> Environment:
        if self._environment is None:
            raise ValueError("a task of t2t opens the data: its initialization_data names it")
        return self._environment

    def open(self, data: DataSpec) -> None:
        self._environment = Environment(self.domain, data)


@lru_cache
def _environment_class() -> Any:
    """tau2's classes of environments and tools, filled with t2t; made when tau2 is there."""
    tools: Any = import_tau2("environment.tool")
    kits: Any = import_tau2("environment.toolkit")
    environments: Any = import_tau2("environment.environment")
    messages: Any = import_tau2("data_model.message")

    class ExportedTool(tools.Tool):
        """A tool with t2t's schema in place of the one that tau2 reads off a function."""

        @property
        def openai_schema(self) -> dict[str, JsonValue]:
            return self.info["schema"]

    class Kit(kits.ToolKitBase):
        """The tools of one side; its database is t2t's."""

        def __init__(self, live: _Live, own: Iterable[Tool], side: Side) -> None:
            super().__init__()
            self._live = live
            self._own = {tool.name: tool for tool in own}
            self._side: Side = side

        @property
        def tools(self) -> dict[str, Callable[..., Any]]:
            return {name: self._function(tool) for name, tool in self._own.items()}

        def get_tools(self) -> dict[str, Any]:
            return {name: self._exported(name, function) for name, function in self.tools.items()}

        def update_db(self, update_data: dict[str, JsonValue] | None = None) -> None:
            self._live.open(DataSpec.model_validate(update_data))

        def get_db_hash(self) -> str:
            return self._live.environment.state_hash()

        def _exported(self, name: str, function: Callable[..., Any]) -> Any:
            exported = ExportedTool(function)
            exported.info = {"schema": self._own[name].schema}
            return exported

        def _function(self, tool: Tool) -> Callable[..., Any]:
            def function(**arguments: JsonValue) -> str:
                call = ToolCall(id="", name=tool.name, arguments=arguments, requestor=self._side)
                return self._live.environment.run(call).content

            function.__name__ = tool.name
            function.__doc__ = tool.description
            function.__signature__ = _signature(tool)  # pyright: ignore[reportFunctionMemberAccess]
            return kits.is_tool(kits.ToolType.WRITE if tool.writes else kits.ToolType.READ)(function)

    class ExportedEnvironment(environments.Environment):
        """tau2's environment over one of t2t's; errors read as t2t words them."""

        def __init__(self, domain: Domain) -> None:
            self._live = _Live(domain)
            super().__init__(
                domain_name=exported_name(domain.name),
                policy=domain.policy,
                tools=Kit(self._live, domain.tools, "assistant"),
                user_tools=Kit(self._live, domain.user_tools, "user") if domain.user_tools else None,
            )

        def get_response(self, message: Any) -> Any:
            call = ToolCall(id=message.id, name=message.name, arguments=message.arguments, requestor=message.requestor)
            result, _ = self._live.environment.answer(call)
            return messages.ToolMessage(
                id=message.id,
                role="tool",
                content=result.content,
                requestor=message.requestor,
                error=result.is_error,
            )

    return ExportedEnvironment


def _signature(tool: Tool) -> inspect.Signature:
    """A tool's parameters as tau2 reads them off a function."""
    return inspect.Signature(
        [
            inspect.Parameter(
                parameter.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if parameter.required else None,
                annotation=parameter.annotation,
            )
            for parameter in tool.parameters
        ]
    )
