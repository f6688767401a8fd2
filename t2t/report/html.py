"""Write ``report.json`` and ``report.html``: one page that needs no network and trusts no text in it.

Model output and tool results are hostile text. Every value is escaped, control characters are shown as
pictures, and a content security policy in the page forbids requests and foreign scripts.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pydantic import JsonValue

from t2t.records import Message, Rollout
from t2t.report.content import ReportContent, Talk
from t2t.report.headline import interval, p_value, percent, points, write_headline
from t2t.report.plot import plot_curve, plot_success
from t2t.report.results import CONDITIONS, WORDINGS, CountRow, sort_models
from t2t.report.talks import checks_with_notes, show_controls, signature

_TEMPLATES = Path(__file__).parent / "templates"


def write_report(folder: Path, content: ReportContent) -> None:
    """Write ``report.json`` and ``report.html`` into `folder`, each whole or not at all.

    Equal content gives equal bytes. ``report.json`` holds the numbers: ``results`` at its top, the fields
    of `Results` and of `ReportContent` beside it, and the ids of the talks that the page shows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_whole(folder / "report.json", _render_json(content))
    _write_whole(folder / "report.html", _render_html(content))


def _write_whole(file: Path, text: str) -> None:
    partial = file.with_name(f"{file.name}.partial")
    partial.write_bytes(text.encode("utf-8", errors="backslashreplace"))
    partial.replace(file)


def _render_json(content: ReportContent) -> str:
    numbers = content.model_dump(mode="json", exclude={"results", "examples"})
    data = {
        "name": content.name,
        "headline": write_headline(content.results),
        **content.results.model_dump(mode="json"),
        **numbers,
        "examples": [talk.rollout.id for talk in content.examples],
    }
    return json.dumps(data, ensure_ascii=False, indent=2) + "\n"


def _render_html(content: ReportContent) -> str:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_show_controls,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "percent": percent,
        "interval": interval,
        "points": points,
        "p_value": p_value,
        "seconds": _write_seconds,
        "compact": _compact,
    }
    environment.filters.update(filters)
    results = content.results
    domains = list(dict.fromkeys(row.domain for row in results.results))
    script = (_TEMPLATES / "report.js").read_text()
    policies = list(
        dict.fromkeys(m.content for talk in content.examples for m in talk.rollout.messages if m.role == "system")
    )
    return environment.get_template("report.html.jinja").render(
        content=content,
        results=results,
        headline=write_headline(results),
        domains=domains,
        conditions=CONDITIONS,
        wordings=tuple(WORDINGS.values()),
        models=sort_models(row.model for row in results.results),
        rows={(row.domain, row.intent, row.model): row for row in results.results},
        wording_rows={(row.domain, row.wording, row.model): row for row in results.by_wording},
        comparisons={(row.domain, row.intent): row for row in results.comparisons},
        pass_rows={(row.domain, row.k, row.model): row for row in results.pass_k},
        pass_ks=sorted({row.k for row in results.pass_k}),
        endings=_count_tables(results.stop_reasons, results.failed_checks, results.broken_clauses),
        success_plots=[plot_success(results.results, domain) for domain in domains],
        curve_plots=[plot for curve in (content.train.curves if content.train else ()) if (plot := plot_curve(curve))],
        settings={name: _flatten(value) for name, value in content.settings.items()},
        manifest=_flatten(content.manifest),
        pairs=[(task, tuple(talks)) for task, talks in groupby(content.examples, key=lambda talk: talk.task)],
        policies=policies,
        chat=_chat,
        checks=_checks,
        signature=signature,
        css=Markup((_TEMPLATES / "report.css").read_text()),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _show_controls(value: object) -> object:
    return show_controls(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _write_seconds(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def _compact(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _flatten(value: JsonValue, prefix: str = "") -> dict[str, JsonValue]:
    """Give nested dicts dotted names; lists become one line, and what is empty reads ``none``."""
    if value is None or value in ("", [], {}):
        return {prefix: "none"}
    if not isinstance(value, dict):
        return {prefix: ", ".join(map(_compact, value)) if isinstance(value, list) else value}
    flat: dict[str, JsonValue] = {}
    for name, inner in value.items():
        flat.update(_flatten(inner, f"{prefix}.{name}" if prefix else name))
    return flat


def _count_tables(*kinds: Sequence[CountRow]) -> Mapping[tuple[int, str], Mapping[str, Mapping[str, CountRow]]]:
    """Rows by model, by name, by (kind, domain)."""
    tables: dict[tuple[int, str], dict[str, dict[str, CountRow]]] = {}
    for kind, rows in enumerate(kinds):
        for row in rows:
            tables.setdefault((kind, row.domain), {}).setdefault(row.name, {})[row.model] = row
    return tables


def _chat(rollout: Rollout) -> Iterator[Message]:
    return (message for message in rollout.messages if message.role != "system")


def _checks(talk: Talk) -> list[tuple[str, bool, list[str]]]:
    return checks_with_notes(talk.rollout.reward)
