"""Show talks in a terminal or a pipe: a list of those that filters choose, or one talk whole.

Texts in talks are hostile: their control characters are shown as pictures.
"""

import contextlib
import difflib
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import termios
import tty
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import IO, Literal, TextIO

from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from t2t.config import RunConfig
from t2t.errors import ConfigError
from t2t.log import short
from t2t.records import Message, Rollout, Task, UserFault
from t2t.report.talk_file import STAGES, TALKS, TalkFile, TalkFilter, find_talks
from t2t.report.talks import checks_with_notes, show_controls, signature
from t2t.store import MANIFEST
from t2t.verify.verifier import successful_calls

_LABEL_WIDTH = 10
_RESULT_LENGTH = 320
_STYLES = {
    "caller": "cyan",
    "agent": "green",
    "does": "magenta",
    "sees": "dim magenta",
    "calls": "bold",
    "gives": "dim",
    "thinks": "dim italic",
    "system": "dim",
    "error": "red",
    "cut off": "red",
    "fault": "yellow",
    "pass": "bold green",
    "fail": "bold red",
    "expected": "bold",
}


class Request(TalkFilter):
    """What to show, as typed: ``t2t view [FILE] [NAME=VALUE ...]``."""

    file: str = ""
    """File of talks, or the folder of a stage or of a run; empty takes the configured run."""
    stage: Literal["evaluate", "baseline", "rollout"] | None = None
    """Stage of the run; None takes the last that has talks."""
    id: str = ""
    """Show this talk whole."""
    n: int = 0
    """Show the n-th of the chosen talks whole; -1 is the last."""
    proof: bool = False
    """Show below a talk what was expected of it."""
    tasks: str = ""
    """File of tasks that `proof` reads, where the run does not lead to it."""
    full: bool = False
    """Show the system message and long results whole."""


def read_request(words: Sequence[str]) -> tuple[Request, list[str]]:
    """Read the words after ``t2t view``.

    Returns:
        The request, and the words that are settings of the run.

    Raises:
        ConfigError: a value that cannot be, two files, or a file beside settings of a run.
    """
    given: dict[str, str] = {}
    settings: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            name, value = "file", word
        if name == "file" and "file" in given:
            raise ConfigError(f"{given['file']} and {value}: one file at a time can be shown")
        if name in Request.model_fields:
            given[name] = value
        else:
            near = difflib.get_close_matches(name, Request.model_fields, n=1, cutoff=0.8)
            if near and name not in RunConfig.model_fields:
                raise ConfigError(f"no filter {name!r}; did you mean {near[0]!r}?")
            settings.append(word)
    try:
        request = Request.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        near = difflib.get_close_matches(given[name], first.get("ctx", {}).get("expected", "").split("'"), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        message = first["msg"][0].lower() + first["msg"][1:]
        raise ConfigError(f"{name}={given[name]}: {message}{hint}") from None
    if request.file and settings:
        known = ", ".join(name for name in Request.model_fields if name != "file")
        raise ConfigError(f"{settings[0]} does not go with the file {request.file}; what does: {known}")
    return request, settings


def view(request: Request, folders: Mapping[str, Path], out: TextIO | None = None) -> None:
    """Show what is asked for.

    On a terminal a list goes through the pager, and after a talk keys lead to the next and the one before.

    Args:
        request: What to show.
        folders: Folders of the run's stages by name, complete or under way; needed without a file.
        out: Where to; standard output by default.

    Raises:
        ConfigError: there are no such talks; the text says what would be right.
    """
    file = _find_file(request, folders)
    stream = out or sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    try:
        with TalkFile(file, request) as talks:
            if request.id or request.n:
                _show_talks(talks, request, folders, stream)
            else:
                with _paged(stream) as console:
                    _print_list(talks, console)
    except BrokenPipeError:
        # The reader has seen enough; Python must not find the pipe closed once more at its end.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except KeyboardInterrupt:
        stream.write("\n")


def _find_file(request: Request, folders: Mapping[str, Path]) -> Path:
    stages = (request.stage,) if request.stage else STAGES
    if request.file:
        return find_talks(Path(request.file), stages)
    files = [folders[stage] / TALKS for stage in stages]
    found = next((file for file in files if file.is_file() and file.stat().st_size), None)
    if found is None:
        raise ConfigError(
            f"no talks yet in {files[-1].parent}; play some with the same settings: t2t {stages[-1]} recipe=NAME"
        )
    return found


@contextlib.contextmanager
def _paged(out: TextIO) -> Generator[Console]:
    """A console on `out`, through the pager where that is a terminal."""
    console = _console(out)
    command = shlex.split(os.environ.get("PAGER", "less")) if out.isatty() else []
    if not command or not shutil.which(command[0]):
        yield console
        return
    pager = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env={"LESS": "FRX", **os.environ})
    assert pager.stdin is not None
    try:
        yield _console(pager.stdin, width=console.width)
    except (BrokenPipeError, KeyboardInterrupt):
        pass
    finally:
        with contextlib.suppress(BrokenPipeError):
            pager.stdin.close()
        while True:
            with contextlib.suppress(KeyboardInterrupt):
                pager.wait()
                break


def _console(out: IO[str], width: int = 0) -> Console:
    """A console that cuts and colours nothing by itself; `width` where `out` leads to a terminal."""
    return Console(
        file=out,
        width=width or None,
        force_terminal=True if width else None,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
    )


_COLUMNS = f"{'n':>6}  {'':4}  {'intent':10}  {'ended':16}  {'turns':>5}  {'failed':12}  talk"


def _print_list(talks: TalkFile, console: Console) -> None:
    succeeded = 0
    for number, line in enumerate(talks.more(), start=1):
        if number == 1:
            _print(console, Text(_COLUMNS, "bold"))
        head, tail = line.head(), line.tail()
        reward = tail["reward"]
        success = reward["value"] == 1.0
        succeeded += success
        turns = sum(message["role"] == "assistant" for message in line.messages())
        failed = next((name for name, passed in reward["checks"].items() if not passed), "")
        verdict = "pass" if success else "fail"
        row = Text(f"{number:6}  ").append(verdict, _STYLES[verdict])
        row.append(f"  {head['intent']:10}  {tail['stop_reason']:16}  {turns:5}  {failed:12}  {head['id']}")
        if tail.get("user_faults"):
            row.append(f"  user faults: {len(tail['user_faults'])}", _STYLES["fault"])
        _print(console, row)
    chosen = talks.num_known
    share = f", {succeeded / chosen:.1%} of them succeed" if chosen else ""
    _print(console, Text(f"{chosen} of {talks.read} talks{share}; n=NUMBER shows one ({talks.file})"))


def _print(console: Console, text: Text) -> None:
    """Print a line, cut to the terminal; rich is too slow for pipes of a hundred thousand lines."""
    text.plain = show_controls(text.plain)
    if console.is_terminal:
        text.truncate(console.width, overflow="ellipsis")
        console.print(text)
    else:
        console.file.write(f"{text.plain}\n")


def _show_talks(talks: TalkFile, request: Request, folders: Mapping[str, Path], out: TextIO) -> None:
    """Show one talk and, on a terminal, those that keys lead to."""
    number = _find_number(talks, request)
    console = _console(out)
    interactive = out.isatty() and sys.stdin.isatty()
    with _keys_at_once() if interactive else contextlib.nullcontext():
        while True:
            line = talks.get(number)
            if line is None:
                raise ConfigError(f"n={number}: only {talks.num_known} talks of {talks.file} are chosen")
            rollout = line.rollout()
            _print_talk(rollout, number, console, full=request.full)
            if request.proof:
                tasks = Path(request.tasks) if request.tasks else _find_tasks(talks.file, folders)
                _print_proof(rollout, _find_task(rollout.task_id, tasks), console)
            step = _ask(console, number, talks) if interactive else 0
            if not step:
                return
            number += step
            console.print()


def _find_number(talks: TalkFile, request: Request) -> int:
    if request.id:
        if request.n:
            raise ConfigError(f"id={request.id} and n={request.n}: give one of them")
        for number, line in enumerate(talks.more(), start=1):
            if line.head()["id"] == request.id:
                return number
        raise ConfigError(f"no talk {request.id!r} among the {talks.num_known} that are chosen of {talks.file}")
    if request.n > 0:
        return request.n
    for _ in talks.more():
        pass
    number = talks.num_known + 1 + request.n
    if number < 1:
        raise ConfigError(f"n={request.n}: only {talks.num_known} talks of {talks.file} are chosen")
    return number


def _ask(console: Console, number: int, talks: TalkFile) -> int:
    """How far to go from talk `number`: 1, -1, or 0 for the end."""
    said = ""
    while True:
        console.print(Text(f"{said}n next, p previous, q quit ", "reverse"), end="")
        key = os.read(sys.stdin.fileno(), 1).decode(errors="replace") or "q"
        console.print("\r\x1b[2K", end="")
        if key in "nj \n":
            if talks.get(number + 1) is not None:
                return 1
            said = "That is the last so far. "
        elif key in "pk":
            if number > 1:
                return -1
            said = "That is the first. "
        elif key in "q\x04":
            return 0


@contextlib.contextmanager
def _keys_at_once() -> Generator[None]:
    """Read keys as they are typed, without showing them; the terminal is then set as it was."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


_FAULTS = {
    "invents": "states what the scenario does not hold",
    "leaks": "tells what was to be held back",
    "withholds": "does not tell what was asked for and is known",
    "ends_early": "hangs up too early",
    "speaks_for_agent": "writes the agent's words",
    "empty": "says nothing",
}


def _print_talk(rollout: Rollout, number: int, console: Console, *, full: bool) -> None:
    console.print(Text(f"{number}  {show_controls(rollout.id)}", "bold"))
    turns = iter(rollout.turns)
    for place, message in enumerate(rollout.messages):
        _print_faults([fault for fault in rollout.user_faults if fault.place == place], console)
        _print_message(message, console, full=full)
        turn = next(turns, None) if message.role == "assistant" else None
        if turn is not None and turn.finish_reason == "length":
            _print_part(console, "cut off", f"the turn has the {len(turn.sampled_ids)} tokens that it may have")
    _print_faults([fault for fault in rollout.user_faults if fault.place >= len(rollout.messages)], console)
    console.print()
    _print_verdict(rollout, console)


def _print_faults(faults: Sequence[UserFault], console: Console) -> None:
    for fault in faults:
        drawn = "and it stands" if fault.kept else "and is drawn again"
        said = f": {fault.text}" if fault.text else ""
        _print_part(console, "fault", f"the caller {_FAULTS[fault.kind]}, {drawn}{said}")


def _print_message(message: Message, console: Console, *, full: bool) -> None:
    if message.role == "system":
        _print_part(
            console, "system", message.content if full else f"{len(message.content)} characters; full=true shows them"
        )
        return
    if message.reasoning:
        _print_part(console, "thinks", message.reasoning)
    if message.result is not None:
        result = message.result
        label = "error" if result.is_error else "sees" if result.requestor == "user" else "gives"
        kind = f" ({result.error})" if result.error else ""
        text, left = result.content, len(result.content) - _RESULT_LENGTH
        if left > 0 and not full:
            text = f"{text[:_RESULT_LENGTH]} ... {left} characters more; full=true shows them"
        _print_part(console, label, text.removeprefix("Error: ") + kind)
    elif message.content or not message.tool_calls:
        _print_part(console, "agent" if message.role == "assistant" else "caller", message.content or "(nothing)")
    for call in message.tool_calls:
        _print_part(console, "does" if call.requestor == "user" else "calls", signature(call))


def _print_part(console: Console, label: str, text: str) -> None:
    """Print a label and a text beside it, which is wrapped on a terminal."""
    style = _STYLES.get(label, "")
    shown = Text(show_controls(text), style, tab_size=4)
    if console.is_terminal:
        lines = list(shown.wrap(console, max(console.width - _LABEL_WIDTH, 20)))
    else:
        lines = list(shown.split("\n", allow_blank=True))
    for place, line in enumerate(lines or [shown]):
        line.rstrip()
        console.print(Text(f"{label if place == 0 else '':{_LABEL_WIDTH}}", style).append_text(line))


def _print_verdict(rollout: Rollout, console: Console) -> None:
    """Say what failed and why, and what the talk cost."""
    checks = checks_with_notes(rollout.reward)
    if rollout.reward.value == 1.0:
        _print_part(console, "pass", ", ".join(name for name, _, _ in checks))
    for name, passed, notes in checks:
        if not passed:
            _print_part(console, "fail", f"{name}: {'; '.join(notes)}" if notes else name)
    if held := [name for name, passed, _ in checks if passed and rollout.reward.value != 1.0]:
        _print_part(console, "holds", ", ".join(held))
    if rollout.reward.broken_clauses:
        _print_part(console, "broke", f"clause {', '.join(rollout.reward.broken_clauses)}")
    turns = sum(message.role == "assistant" for message in rollout.messages)
    prompt = sum(len(turn.prompt_ids) for turn in rollout.turns)
    sampled = sum(len(turn.sampled_ids) for turn in rollout.turns)
    tokens = f", {short(prompt)} tokens in prompts, {short(sampled)} sampled" if rollout.turns else ""
    _print_part(console, "ended", f"{rollout.stop_reason.value} after {turns} turn{'s' * (turns != 1)}{tokens}")


def _print_proof(rollout: Rollout, task: Task, console: Console) -> None:
    """Show the caller's side of a task and what it expects, beside what the talk did of it."""
    expected = task.expectation
    console.print()
    _print_part(console, "wish", task.scenario.reason_for_call)
    _print_part(console, "knows", task.scenario.known_info)
    for change in task.scenario.changes:
        _print_part(console, "then", f"{change.text} (cue: {change.cue})")
    made = [(call.name, call.arguments) for call in successful_calls(rollout.messages)]
    for call in expected.calls:
        done = "made" if (call.name, call.arguments) in made else "not made so"
        _print_part(console, "expected", f"{signature(call)}{' by the caller' * (call.requestor == 'user')}: {done}")
    if expected.final_hash:
        same = "the talk's too" if rollout.final_hash == expected.final_hash else f"the talk's is {rollout.final_hash}"
        _print_part(console, "state", f"{expected.final_hash}; {same}")
    for text in (*expected.tell, *expected.mention):
        _print_part(console, "to tell", text)
    if expected.refusal:
        clause = f" (clause {expected.refusal.clause})" if expected.refusal.clause else ""
        _print_part(console, "to refuse", f"by naming one of: {', '.join(expected.refusal.cues)}{clause}")
    for pattern in expected.forbidden:
        given = ", ".join(
            f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in pattern.arguments.items()
        )
        _print_part(console, "forbidden", f"{pattern.name}({given})")
    for wanted in expected.required:
        _print_part(console, "required", signature(wanted))
    for assertion in expected.assertions:
        _print_part(console, "asserted", f"{assertion.function} is {assertion.expected}")


def _find_tasks(talks: Path, folders: Mapping[str, Path]) -> Path:
    """The file of the tasks, in the run's folders or in the artifact that the manifest beside the talks names."""
    if "synthesize" in folders:
        return folders["synthesize"] / "tasks.jsonl"
    folder = talks.resolve().parent
    try:
        key = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["inputs"]["synthesize"]
    except (OSError, ValueError, KeyError):
        raise ConfigError(f"nothing beside {talks} names its tasks; add tasks=FILE") from None
    return folder.parents[1] / "synthesize" / key / "tasks.jsonl"


def _find_task(task_id: str, file: Path) -> Task:
    if not file.is_file():
        raise ConfigError(f"proof=true reads {file}, which does not exist; add tasks=FILE")
    beginning = f'{{"id":{json.dumps(task_id, ensure_ascii=False)},'.encode()
    with file.open("rb") as lines:
        for line in lines:
            if line.startswith(beginning):
                return Task.model_validate_json(line)
    raise ConfigError(f"proof=true finds no task {task_id!r} in {file}; add tasks=FILE")
