"""The domain that docs/add_a_domain.md builds, as a package of a user."""

import importlib
import re
import sys
import tempfile
from functools import cache
from pathlib import Path

from t2t.domain.domain import Domain, load_domain

PAGE = Path(__file__).parent.parent / "docs" / "add_a_domain.md"
NAME = "my_domains.bikes"


def read_files() -> dict[str, str]:
    """Text of each file of the page, by name."""
    return dict(re.findall(r"^`([\w.]+)`:\n```\w+\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL))


@cache
def load_bikes() -> Domain:
    """Write the page's files into a new package and import it."""
    root = Path(tempfile.mkdtemp(prefix="t2t-documented-"))
    home = root.joinpath(*NAME.split("."))
    home.mkdir(parents=True)
    (home.parent / "__init__.py").touch()
    for name, text in read_files().items():
        (home / name).write_text(text)
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    return load_domain(NAME)
