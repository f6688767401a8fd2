"""Print the numbers of a report as a table that fits the terminal, or the pipe."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from t2t.report.headline import percent, write_headline_line
from t2t.report.results import CONDITIONS, ResultRow, Results, sort_models

_TITLES = {"do_nothing": "does nothing", "base": "base", "tuned": "tuned", "reference": "reference"}


def print_report(results: Results, html_file: Path, console: Console | None = None) -> None:
    """Print one table per domain, one line of headline and where the report lies.

    The interval stands beside its share from 100 columns on and below it otherwise; under 60 columns
    the floor and the ceiling are left out.

    Args:
        results: the numbers.
        html_file: the written page.
        console: where to print; standard output by default.
    """
    console = console or Console(highlight=False)
    models = sort_models(row.model for row in results.results)
    if console.width < 60:
        models = [model for model in models if model not in ("do_nothing", "reference")]
    for domain in dict.fromkeys(row.domain for row in results.results):
        rows = {(row.intent, row.model): row for row in results.results if row.domain == domain}
        console.print(_table(domain, rows, models, beside=console.width >= 100))
        console.print()
    console.print(Text(write_headline_line(results)), soft_wrap=True)
    console.print(Text(f"report: {html_file}"), soft_wrap=True)


def _table(domain: str, rows: dict[tuple[str, str], ResultRow], models: list[str], *, beside: bool) -> Table:
    seen = next(iter(rows.values())).seen
    table = Table(
        title=f"{escape(domain)}, {'trained on' if seen else 'unseen in training'}: tasks solved, 95% interval",
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 2, 0, 0),
    )
    table.add_column("intent")
    table.add_column("tasks", justify="right")
    for model in models:
        table.add_column(escape(_TITLES.get(model, model)), justify="right")
    for condition in CONDITIONS:
        played = [rows[condition, model] for model in models if (condition, model) in rows]
        if played:
            cells = [_cell(rows.get((condition, model)), beside) for model in models]
            table.add_row(condition, str(max(row.num_tasks for row in played)), *cells)
    return table


def _cell(row: ResultRow | None, beside: bool) -> str:
    if row is None:
        return "not played"
    return f"{percent(row.success)}{' ' if beside else chr(10)}{100 * row.low:.1f}-{100 * row.high:.1f}"
