"""The table of settings in docs/training.md."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from t2t.config import FilterConfig, TrainConfig

PAGE = Path(__file__).parent.parent.parent / "docs" / "training.md"


def test_the_settings_on_the_page_are_those_of_the_code_with_their_defaults() -> None:
    table = PAGE.read_text(encoding="utf-8").split("\n## Settings\n")[1]
    on_the_page = [line for line in table.splitlines() if line.startswith("| `")]
    assert on_the_page == [*write_rows("filter", FilterConfig), *write_rows("train", TrainConfig)]


def write_rows(name: str, section: type[Any]) -> Iterator[str]:
    for setting, field in section.model_fields.items():
        meaning = " ".join(field.description.replace("``", "`").split())
        yield f"| `{name}.{setting}` | `{write_default(field.default)}` | {meaning} |"


def write_default(value: Any) -> str:
    """As one would type it."""
    if isinstance(value, tuple):
        return f"[{','.join(value)}]"
    return value if isinstance(value, str) else json.dumps(value)
