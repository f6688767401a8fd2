"""The data card: a ``README.md`` that says what a data set holds, what was turned away and what was measured.

Everything in it is counted while the tasks go by; nothing names a time, a host or a folder, so equal tasks
give equal bytes. Its header tells ``datasets.load_dataset`` which files are the data.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import orjson
from pydantic import JsonValue
from rich.markup import escape
from rich.table import Table

from t2t.records import Intent, Task, ToolCall, Validation
from t2t.report.artifacts import ALL, ArtifactFigures, Distance, Telling
from t2t.report.content import FunnelStep
from t2t.report.export import FOLDER, SPLITS, WriteTools, write_names
from t2t.report.headline import percent
from t2t.report.markdown import code, counted, fenced, one_line, plain, quote, table, write_readme

K = TypeVar("K", bound=tuple[str, ...])

CONTROLS = ("reference", "do_nothing", "refuse_everything", "other_candidate", "earlier_wish")
"""Who plays a task to show that it can be done, and only in the right way; in the order of the table."""

Funnel = Mapping[str, Sequence[FunnelStep]]
"""What the steps from exploration to the last check kept and turned away, in order, by domain."""

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_MAX_VALUES = 40
_EXAMPLES_HELD = 16
_CUES = {
    "message": "beside the next answer",
    "proposal": "in place of the yes",
    "done": "once it is done",
    "refusal": "once it is refused",
}


class Example(NamedTuple):
    """A task of an adaptation, and a general one of the same domain."""

    before: Task
    """The general one."""
    after: Task
    """The adapted one."""
    same_walk: bool
    """True when both were written from one trajectory."""


class CardFacts:
    """What the card counts, filled task by task; what grows is the number of distinct traits."""

    def __init__(self, write_tools: WriteTools) -> None:
        """Start with nothing counted.

        Args:
            write_tools: Tools that may change the database, by domain.
        """
        self._write_tools = write_tools
        self.tasks: Counter[tuple[str, str, str]] = Counter()
        """Tasks by domain, intent and split."""
        self.wordings: Counter[str] = Counter()
        """Tasks by the pool of their sentences."""
        self.tools: Counter[tuple[str, str]] = Counter()
        """Tasks whose reference calls a tool, by domain and tool."""
        self.calls: Counter[tuple[str, str]] = Counter()
        """Reference calls by domain and tool."""
        self.rules: Counter[tuple[str, str, str]] = Counter()
        """Tasks in which it forbids something, by domain, ``clause`` or ``constraint``, and which."""
        self.allowing: Counter[tuple[str, str, str]] = Counter()
        """Tasks that look as if it forbade something and that it just allows, in the same way."""
        self.traits: Counter[tuple[str, str, str]] = Counter()
        """Tasks by trait, value (JSON text) and intent."""
        self.controls: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        """Talks that passed and talks played, by group of tasks (see `group_of`) and who played."""
        self.realism: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        """Sum of a judge's grades and number of tasks graded, by intent."""
        self._held: defaultdict[tuple[str, Intent], list[Task]] = defaultdict(list)

    @property
    def num_tasks(self) -> int:
        """Tasks added."""
        return self.tasks.total()

    def add(self, task: Task, validation: Validation) -> None:
        """Count a task.

        Raises:
            RunError: the tools of the task's domain are not given.
        """
        write_names(task, self._write_tools)
        self.tasks[task.domain, task.intent.value, task.data.split] += 1
        self.wordings[task.wording] += 1
        names = [call.name for call in task.expectation.calls]
        self.calls.update((task.domain, name) for name in names)
        self.tools.update((task.domain, name) for name in set(names))
        rules = self.allowing if task.traits.get("twin") else self.rules
        for name, value in task.traits.items():
            values = value if isinstance(value, list) else [value]
            if name in ("clause", "constraint"):
                rules.update((task.domain, name, which) for which in {str(one) for one in values if one})
            else:
                texts = {orjson.dumps(one).decode() for one in values}
                self.traits.update((name, text, task.intent.value) for text in texts)
        for name, (passed, played) in validation.controls.items():
            pair = self.controls[group_of(task), name]
            pair[0] += passed
            pair[1] += played
        if validation.realism is not None:
            graded = self.realism[task.intent.value]
            graded[0] += validation.realism
            graded[1] += 1
        held = self._held[task.domain, task.intent]
        if len(held) < _EXAMPLES_HELD:
            held.append(task)

    def writes(self, domain: str, tool: str) -> bool:
        """True when a tool may change the domain's database."""
        return tool in self._write_tools[domain]

    def examples(self) -> dict[Intent, Example]:
        """The best pair for each adaptation among the first tasks of each domain; without those that have none.

        One trajectory for both comes first, then as many tools in common as can be, then a domain that no other
        adaptation shows, then the earlier tasks.
        """
        chosen: dict[Intent, Example] = {}
        for intent in (Intent.AMBIGUOUS, Intent.CHANGING, Intent.INFEASIBLE):
            shown = {example.after.domain for example in chosen.values()}
            pairs = [
                (before, after)
                for domain in sorted({domain for domain, _ in self._held})
                for after in self._held.get((domain, intent), ())
                for before in self._held.get((domain, Intent.GENERAL), ())
            ]
            if pairs:
                before, after = max(pairs, key=lambda pair: (*_likeness(*pair), pair[0].domain not in shown))
                chosen[intent] = Example(before, after, same_walk=before.trajectory == after.trajectory)
        return chosen


def group_of(task: Task) -> str:
    """Row of the table of controls: the intent, and whether the task only looks infeasible."""
    return f"{task.intent.value}, twin" if task.traits.get("twin") else task.intent.value


def controls_table(facts: CardFacts) -> Table:
    """The table of controls for the terminal: talks that passed of those played, by intent."""
    table = Table(
        title="tasks passed, by who plays",
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 2, 0, 0),
    )
    header, *rows = _controls_rows(facts)
    for number, name in enumerate(header):
        table.add_column(escape(name.replace("_", " ")), justify="right" if number else "left")
    for row in rows:
        table.add_row(*(escape(cell.partition(" (")[0]) for cell in row))
    return table


def write_card(
    folder: Path,
    facts: CardFacts,
    *,
    name: str,
    funnel: Funnel,
    artifacts: ArtifactFigures,
    settings: str,
) -> None:
    """Write ``README.md`` into `folder`, whole or not at all.

    Args:
        folder: where ``data/`` lies.
        facts: the counts.
        name: name of the data set; the title.
        funnel: what was kept and turned away.
        artifacts: what was measured on a sample.
        settings: what follows ``t2t synthesize`` to make the same tasks again.
    """
    parts = [
        _header(name, facts),
        _introduction(name, facts),
        _columns(),
        _counts(facts),
        _controls(facts),
        _funnel(funnel),
        _examples(facts),
        _artifacts(artifacts),
        _regenerate(settings),
        _licence(facts),
    ]
    write_readme(folder, parts)


def _likeness(before: Task, after: Task) -> tuple[bool, float]:
    """Whether both come from one trajectory, and the share of their tools that they have in common."""
    ours, theirs = ({call.name for call in task.expectation.calls} | _wished(task) for task in (before, after))
    return before.trajectory == after.trajectory, len(ours & theirs) / (len(ours | theirs) or 1)


def _wished(task: Task) -> set[str]:
    return {meant.tool for meant in (*task.expectation.wishes, *task.expectation.earlier)}


def _splits(facts: CardFacts) -> list[str]:
    return [split for split in SPLITS if any(key[2] == split for key in facts.tasks)]


def _header(name: str, facts: CardFacts) -> str:
    size = next((label for bound, label in _SIZES if facts.num_tasks < bound), "1M<n<10M")
    lines = [
        "---",
        "license: apache-2.0",
        "language:",
        "- en",
        # JSON text is YAML text, whatever the name holds.
        f"pretty_name: {orjson.dumps(one_line(name)).decode()}",
        "task_categories:",
        "- text-generation",
        "tags:",
        *(f"- {tag}" for tag in ("tool-calling", "agents", "verifiable", "synthetic", "t2t")),
        "size_categories:",
        f"- {size}",
    ]
    if splits := _splits(facts):
        lines += ["configs:", "- config_name: default", "  data_files:"]
        for split in splits:
            lines += [f"  - split: {split}", f"    path: {FOLDER}/{split}.parquet"]
    return "\n".join([*lines, "---"])


def _introduction(name: str, facts: CardFacts) -> str:
    domains = sorted({key[0] for key in facts.tasks})
    listed = ", ".join(map(code, domains)) or "no domain"
    split = (_splits(facts) or ["train"])[0]
    parts = [
        f"# {plain(name)}",
        f"{counted(facts.num_tasks, 'task')} for agents that call tools, in {listed}. Each is a caller who wants "
        "something, and one answer that code has proved: the reference calls replay, every write in them is needed, "
        "doing nothing fails, and the state that they lead to, or the refusal that a rule demands, decides whether an "
        "agent has served the caller.",
        "Callers are hard to serve in a controlled way. `general` ones say clearly what they want; `ambiguous` ones "
        "open with words that fit several things; `changing` ones change their mind; `infeasible` ones want what a "
        "rule or the backend forbids. The goal is that the intent cannot be read from surface cues: only the talk and "
        "the database tell it. The section on artifacts says how far that goal is reached.",
        "```python\n"
        "from datasets import load_dataset\n"
        "from t2t import Task\n\n"
        'tasks = load_dataset("path/to/this/folder")\n'
        f'task = Task.model_validate_json(tasks["{split}"][0]["task"])\n'
        "```",
    ]
    return "\n\n".join(parts)


def _columns() -> str:
    rows = [
        ["`id`, `domain`, `intent`", "of the task; equal content gives an equal id"],
        ["`split`", "half of the generated people and things that the task is about; the halves share none"],
        ["`wording`", "pool of the sentences: `test` wordings stand in no training task"],
        ["`opening`", "first message of the caller"],
        [
            "`reason_for_call`, `known_info`, `unknown_info`, `task_instructions`, `persona`",
            "what a model that plays the caller reads",
        ],
        [
            "`reference_tools`, `num_calls`, `num_writes`",
            "tools of the reference calls in order, and how many there are",
        ],
        ["`tell`", "strings that must reach the caller"],
        ["`traits`", "JSON text: what makes the task hard"],
        ["`scenario`, `expectation`, `validation`, `task`", "JSON text of whole records; `task` is all of the task"],
    ]
    return "\n\n".join(
        [
            "## Columns",
            f"The same rows lie as Parquet and as JSON Lines in `{FOLDER}/`. What is expected of an agent "
            "(`reference_tools`, `tell`, `expectation` and what holds them) may reach neither it nor the caller.",
            table([["column", "what it holds"], *rows], left=2),
        ]
    )


def _counts(facts: CardFacts) -> str:
    splits = _splits(facts)
    intents = [intent.value for intent in Intent if any(key[1] == intent.value for key in facts.tasks)]
    domains = sorted({key[0] for key in facts.tasks})
    sizes = [["domain", "split", *intents, "all"]]
    for domain in domains:
        for split in splits:
            row = [facts.tasks[domain, intent, split] for intent in intents]
            if any(row):
                sizes.append([code(domain), split, *map(str, row), str(sum(row))])
    totals = [sum(facts.tasks[domain, intent, s] for domain in domains for s in splits) for intent in intents]
    sizes.append(["all", "all", *map(str, totals), str(sum(totals))])
    tools = [["domain", "tool", "writes", "tasks that need it", "reference calls"]]
    for (domain, tool), count in _by_count(facts.tools):
        writes = "yes" if facts.writes(domain, tool) else "no"
        tools.append([code(domain), code(tool), writes, str(count), str(facts.calls[domain, tool])])
    rules = [["domain", "rule or constraint", "forbids", "just allows"]]
    for place, _ in _by_count(facts.rules + facts.allowing):
        domain, kind, which = place
        rules.append([code(domain), f"{kind} {code(which)}", str(facts.rules[place]), str(facts.allowing[place])])
    wordings = ", ".join(f"{facts.wordings[name]} in `{name}` wordings" for name in SPLITS if facts.wordings[name])
    return "\n\n".join(
        [
            "## How many",
            f"{counted(facts.num_tasks, 'task')}: {wordings or 'none'}.",
            table(sizes, left=2),
            "### By tool",
            table(tools, left=3),
            "### By rule and constraint",
            "Tasks in which it forbids what the caller wants, and tasks that only look so, where it just allows it.",
            table(rules, left=2) if len(rules) > 1 else "None.",
            "### By trait",
            _traits(facts, intents),
        ]
    )


def _traits(facts: CardFacts, intents: Sequence[str]) -> str:
    rows = [["trait", "value", *intents, "all"]]
    for name in sorted({name for name, _, _ in facts.traits}):
        counts: Counter[str] = Counter()
        for (trait, value, _), count in facts.traits.items():
            if trait == name:
                counts[value] += count
        ordered = sorted(counts, key=lambda value: (-counts[value], value))
        for value in ordered[:_MAX_VALUES]:
            row = [facts.traits[name, value, intent] for intent in intents]
            rows.append([code(name), code(value), *map(str, row), str(sum(row))])
        if rest := ordered[_MAX_VALUES:]:
            row = [sum(facts.traits[name, value, intent] for value in rest) for intent in intents]
            rows.append([code(name), f"{len(rest)} other values", *map(str, row), str(sum(row))])
    return table(rows, left=2) if len(rows) > 1 else "No task has a trait."


def _controls(facts: CardFacts) -> str:
    graded = [
        f"{intent.value} {total / count:.1f} of 10 over {counted(int(count), 'task')}"
        for intent in Intent
        for total, count in [facts.realism.get(intent.value, (0.0, 0.0))]
        if count
    ]
    realism = [f"A judge model graded the language, which turns nothing away: {'; '.join(graded)}."] if graded else []
    header, *rows = _controls_rows(facts)
    return "\n\n".join(
        [
            "## Who passes",
            "Each kept task was played by agents that know what no agent may know, and judged like any other talk: "
            "`reference` plays the proved answer; `do_nothing` says goodbye; `refuse_everything` refuses; "
            "`other_candidate` acts on another thing that fits the opening; `earlier_wish` acts on a wish that was "
            "given up. Cells: passed of played. The reference passes always; the others never, but that refusing is "
            "right where all that is wanted is forbidden.",
            table([[*map(code, header)], *rows], left=1),
            *realism,
        ]
    )


def _controls_rows(facts: CardFacts) -> list[list[str]]:
    order = [intent.value for intent in Intent]
    played = {name for _, name in facts.controls}
    names = [name for name in CONTROLS if name in played] + sorted(played - set(CONTROLS))
    groups = sorted({group for group, _ in facts.controls}, key=lambda group: (order.index(group.split(",")[0]), group))
    rows = [["intent", *names]]
    for group in groups:
        rows.append([group, *(_passed([facts.controls.get((group, name))]) for name in names)])
    rows.append(["all", *(_passed([facts.controls.get((group, name)) for group in groups]) for name in names)])
    return rows


def _passed(pairs: Sequence[Sequence[int] | None]) -> str:
    passed, played = (sum(pair[place] for pair in pairs if pair) for place in (0, 1))
    return f"{passed} of {played} ({percent(passed / played)})" if played else "not played"


def _funnel(funnel: Funnel) -> str:
    rows = [["domain", "step", "kept", "turned away", "reason"]]
    for domain, steps in funnel.items():
        for step in steps:
            place = [code(domain), plain(f"{step.stage}: {step.label}")]
            rows.append([*place, str(step.count), str(sum(step.rejected.values())), ""])
            ordered = sorted(step.rejected.items(), key=lambda item: (-item[1], item[0]))
            rows += [[*place, "", str(count), plain(reason)] for reason, count in ordered]
    return "\n\n".join(
        [
            "## What was turned away",
            "By domain and step, in order. The line with what was kept is followed by one for each reason.",
            table(rows, left=2, last_left=True) if len(rows) > 1 else "Nothing was counted.",
        ]
    )


def _examples(facts: CardFacts) -> str:
    parts = ["## Before and after"]
    parts.append("A general caller, and one of the same domain after each adaptation.")
    examples = facts.examples()
    for intent in (Intent.AMBIGUOUS, Intent.CHANGING, Intent.INFEASIBLE):
        parts.append(f"### {intent.value.capitalize()}")
        example = examples.get(intent)
        if example is None:
            parts.append("No domain has both a general task and one of these.")
            continue
        same = "from the same trajectory" if example.same_walk else "from another trajectory"
        parts += [
            f"Before, in {code(example.before.domain)}:",
            _told(example.before),
            f"After, {same}:",
            _told(example.after),
        ]
    return "\n\n".join(parts)


def _told(task: Task) -> str:
    """The caller's words and what is expected, a line per call."""
    scenario, expectation = task.scenario, task.expectation
    said = [quote(scenario.opening)]
    said += [quote(f"(when asked) {fact.answer}") for fact in scenario.facts if not fact.in_opening]
    said += [quote(f"({_CUES[change.cue]}) {change.text}") for change in scenario.changes]
    answer = [_call(call) for call in expectation.calls] or ["(no call)"]
    if expectation.tell:
        answer.append(f"tell: {', '.join(one_line(text) for text in expectation.tell)}")
    if expectation.refusal is not None:
        named = [meant.forbidden_by for meant in expectation.wishes if meant.forbidden_by]
        clause = expectation.refusal.clause
        reason = f"clause {clause}" if clause else f"constraint {named[0]}" if named else "a constraint of the backend"
        answer.append(f"refuse: {one_line(reason)}")
    return "\n\n".join(["\n>\n".join(said), fenced("\n".join(answer), "text")])


def _call(call: ToolCall) -> str:
    arguments = ", ".join(f"{name}={_json(value)}" for name, value in call.arguments.items())
    return one_line(f"{call.name}({arguments})")


def _artifacts(artifacts: ArtifactFigures) -> str:
    told = [["told from the opening", "domain", "tasks", "classes", "accuracy (95% interval)", "most frequent class"]]
    cues = [["domain", "intent", "words"]]
    for row in artifacts.telling:
        place = [row.target, _domain(row), str(row.num_tasks)]
        if row.not_measured:
            told.append([*place, "", plain(f"not measured: {row.not_measured}"), ""])
            continue
        told.append(
            [
                *place,
                str(row.num_classes),
                f"{percent(row.accuracy)} ({100 * row.low:.1f} to {100 * row.high:.1f})",
                f"{percent(row.baseline)} ({100 * row.baseline_low:.1f} to {100 * row.baseline_high:.1f})",
            ]
        )
        cues += [[_domain(row), intent, ", ".join(map(code, found))] for intent, found in row.words.items()]
    parts = [
        "## Artifacts",
        f"Measured on a sample of {counted(artifacts.num_tasks, 'task')}.",
        "### What the opening gives away",
        "A bag of words of the caller's first message and logistic regression, in five folds that never part the tasks "
        "of one trajectory. The goal for the intent is the share of the most frequent class: the opening should not "
        "tell it. Tools are another matter, for callers say what they want: there the figure shows how much of the "
        "task the first message leaves open.",
        table(told, left=2),
    ]
    if len(cues) > 1:
        parts += ["Words that speak most for an intent:", table(cues, left=3)]
    parts += [
        "### Beside tasks that people wrote",
        "Means of these tasks and of tau2's human-written tasks of the same domain, and the distance of the two "
        "distributions: Wasserstein, in the unit of the mean. For tools and vocabulary the mean is the number of "
        "equally frequent ones that would spread as wide, and the distance is the difference of the two numbers, or "
        "Jensen-Shannon between 0 and 1. The last column is the distance of tau2's tasks to those of its own other "
        "domains, as a yardstick.",
    ]
    if artifacts.distances:
        head = ["domain", "measure", "these tasks", "human-written", "distance", "among tau2's domains"]
        parts.append(table([head, *map(_distance_row, artifacts.distances)], left=2))
    parts += [f"{code(domain)}: not measured: {plain(why)}." for domain, why in artifacts.not_compared.items()]
    return "\n\n".join(parts)


def _domain(row: Telling) -> str:
    return row.domain if row.domain == ALL else code(row.domain)


def _distance_row(row: Distance) -> list[str]:
    among = "" if row.among_humans is None else f"{row.among_humans:.2f}"
    return [code(row.domain), row.measure, f"{row.ours:.1f}", f"{row.human:.1f}", f"{row.distance:.2f}", among]


def _regenerate(settings: str) -> str:
    command = f"t2t synthesize {settings.strip()}".strip()
    return "\n\n".join(
        [
            "## Making it again",
            "Equal settings, seeds and domains give equal tasks, whatever the machine and the number of processes.",
            fenced(command, "bash"),
        ]
    )


def _licence(facts: CardFacts) -> str:
    elsewhere = sorted({domain for domain, _, _ in facts.tasks if domain.partition(".")[0] in ("tau2", "mcp")})
    text = "Apache-2.0. The people, places and records in these tasks are made up by a program."
    if elsewhere:
        names = ", ".join(map(code, elsewhere))
        text = f"Apache-2.0, but for what {names} brought from elsewhere, which keeps the licence that it has there."
    return f"## Licence\n\n{text}"


def _by_count(counts: Mapping[K, int]) -> list[tuple[K, int]]:
    """By domain, then the most frequent first."""
    return sorted(counts.items(), key=lambda item: (item[0][0], -item[1], item[0]))


def _json(value: JsonValue) -> str:
    return orjson.dumps(value).decode()
