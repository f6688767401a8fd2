"""Check that the documentation points at things that exist.

Reads every Markdown file of the repository. Checked: relative links and their anchors, paths of this
repository in inline code (``scripts/setup.py``), and each entry of a file map, which is the code block
under a heading "File map" or "Layout". Web addresses are left alone: no network is needed.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SKIPPED = {".venv", ".git", "build", "weights", "runs", "outputs", "node_modules"}
PLACEHOLDERS = set("<>*{}$…")
"""Characters of a path that stands for many."""
MADE = ("runs/", "weights/", "outputs/", ".venv/", ".venv.")
"""Paths that appear when the project is used, so they may be named before they exist."""

_FENCE = re.compile(r"^\s*(```|~~~)")
_LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_CODE = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*$")
_MAP_HEADING = re.compile(r"file map|^(\d+\.\s*)?layout$", re.IGNORECASE)


class Line(NamedTuple):
    """One line of a Markdown file."""

    number: int
    text: str
    is_code: bool
    """True inside a fenced block."""
    heading: str
    """The heading it stands under."""


def read_lines(text: str) -> Iterator[Line]:
    """Lines of a Markdown text without the fences themselves."""
    fenced = False
    heading = ""
    for number, line in enumerate(text.splitlines(), 1):
        if _FENCE.match(line):
            fenced = not fenced
            continue
        match = None if fenced else _HEADING.match(line)
        if match:
            heading = match.group(2)
        yield Line(number, line, fenced, heading)


def slug(heading: str) -> str:
    """Anchor of a heading as GitHub makes it."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    kept = re.sub(r"[^\w\- ]", "", plain.strip().lower())
    return kept.replace(" ", "-")


def read_anchors(text: str) -> set[str]:
    """All anchors of a Markdown text; a repeated heading gets ``-1``, ``-2``."""
    anchors = set(re.findall(r"<a\s+(?:id|name)=\"([^\"]+)\"", text))
    seen: dict[str, int] = {}
    for line in read_lines(text):
        match = None if line.is_code else _HEADING.match(line.text)
        if match:
            anchor = slug(match.group(2))
            anchors.add(f"{anchor}-{seen[anchor]}" if anchor in seen else anchor)
            seen[anchor] = seen.get(anchor, 0) + 1
    return anchors


def read_map(lines: Iterator[Line]) -> Iterator[tuple[int, str]]:
    """Line number and path of each entry of the file maps: the first word, below the folder it is indented under."""
    folders: list[tuple[int, str]] = []
    for line in lines:
        if not (line.is_code and _MAP_HEADING.search(line.heading) and line.text.strip()):
            folders = []
            continue
        text = re.sub(r"[│├└─]", " ", line.text)
        indent = len(text) - len(text.lstrip())
        if folders and indent > folders[-1][0] + 12:
            continue  # a description that goes on
        folders = [folder for folder in folders if folder[0] < indent]
        prefix = folders[-1][1] if folders else ""
        for word in re.split(r"\s{2,}", text.strip())[0].split():
            if "/" in word or "." in word or word[0].isupper():
                yield line.number, prefix + word
                if word.endswith("/") and word == text.split()[0]:
                    folders.append((indent, prefix + word))


def check_link(file: Path, target: str) -> str | None:
    """What is wrong with one link, or None."""
    if re.match(r"[a-z][a-z+.-]*:", target) or target.startswith("//"):
        return None
    path_text, _, anchor = target.partition("#")
    path = file if not path_text else (file.parent / path_text)
    if not path.exists():
        return f"{target} does not exist"
    if anchor and path.suffix == ".md" and anchor not in read_anchors(path.read_text()):
        return f"{path_text or file.name} has no heading for #{anchor}"
    return None


def is_missing(root: Path, path: str) -> bool:
    """True for a path of the repository that neither exists nor is a placeholder nor made by use."""
    if PLACEHOLDERS & set(path) or path.startswith(MADE):
        return False
    return not (root / path.rstrip("/")).exists()


def check_file(root: Path, file: Path) -> Iterator[str]:
    """Complaints about one Markdown file, each with its place."""
    text = file.read_text()
    name = file.relative_to(root)
    folders = {path.name for path in root.iterdir() if path.is_dir() and path.name not in SKIPPED}
    for line in read_lines(text):
        if line.is_code:
            continue
        for target in _LINK.findall(_CODE.sub("", line.text)):
            problem = check_link(file, target)
            if problem:
                yield f"{name}:{line.number}: {problem}"
        for code in _CODE.findall(line.text):
            head, slash, _ = code.partition("/")
            path = code.split("::")[0].split("#")[0]
            if slash and head in folders and re.fullmatch(r"[\w./-]+", path) and is_missing(root, path):
                yield f"{name}:{line.number}: {path} does not exist"
    for number, path in read_map(read_lines(text)):
        if is_missing(root, path) and is_missing(file.parent, path):
            yield f"{name}:{number}: the file map names {path}, which does not exist"


def find_markdown(root: Path) -> list[Path]:
    """Markdown files of the repository, without what use and tools leave there."""
    files = (file for file in root.rglob("*.md") if not SKIPPED & set(file.relative_to(root).parts))
    return sorted(file for file in files if not any(part.startswith(".") for part in file.relative_to(root).parts[:-1]))


def main() -> int:
    """Print every complaint; returns 1 if there is one."""
    files = find_markdown(ROOT)
    complaints = [complaint for file in files for complaint in check_file(ROOT, file)]
    print("\n".join(complaints) or f"links: {len(files)} files, all good")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
