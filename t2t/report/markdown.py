"""Pieces of a Markdown page; no text in them can break it."""

import re
from collections.abc import Sequence
from pathlib import Path


def table(rows: Sequence[Sequence[str]], *, left: int, last_left: bool = False) -> str:
    """A table of finished cells, the header first; the first `left` columns stand left, numbers right."""
    header, *body = rows
    aligned = [
        "---" if place < left or (last_left and place == len(header) - 1) else "---:" for place in range(len(header))
    ]
    lines = [f"| {' | '.join(header)} |", f"|{'|'.join(aligned)}|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in body)])


def plain(text: str) -> str:
    """Text in one line that Markdown shows as it is."""
    return re.sub(r"([\\`*_\[\]<>|~&$#])", r"\\\1", one_line(text))


def code(text: str) -> str:
    """Text in one line as code, in a table too."""
    line = one_line(text)
    if re.fullmatch(r"[^`|\\]*\S", line):
        return f"`{line}`"
    # Inside a table no number of backticks or backslashes keeps each of these as it is.
    return f"<code>{''.join(c if c.isalnum() or c == ' ' else f'&#{ord(c)};' for c in line)}</code>"


def quote(text: str) -> str:
    """Text as a quotation, line by line."""
    lines = [plain(line) for line in text.splitlines()]
    lines = [re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", line) for line in lines]
    return "\n".join(f"> {line}".rstrip() for line in lines or [""])


def fenced(text: str, language: str) -> str:
    """Text as a block of code, indented as it is."""
    lines = [_printable(line.expandtabs()) for line in text.splitlines()]
    runs = [len(run) for line in lines for run in re.findall(r"`+", line)]
    fence = "`" * max(3, max(runs, default=0) + 1)
    return "\n".join([fence + language, *lines, fence])


def one_line(text: str) -> str:
    """Text in one line that shows every character it has."""
    return _printable(" ".join(text.split()))


def counted(count: int, noun: str) -> str:
    """A number and what it counts: ``1 task``, ``1,200 tasks``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def write_readme(folder: Path, parts: Sequence[str]) -> None:
    """Write ``README.md`` of these paragraphs into `folder`, whole or not at all."""
    partial = folder / "README.md.partial"
    partial.write_bytes(("\n\n".join(parts) + "\n").encode("utf-8", errors="backslashreplace"))
    partial.replace(folder / "README.md")


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
