"""Shared by the tests of all domains: what the search of the contract found, once per domain."""

from collections.abc import Callable
from functools import cache

import pytest

from t2t.domain.domain import load_domain
from t2t.verify.inspection import Inspection


@pytest.fixture(scope="session")
def inspect() -> Callable[[str], Inspection]:
    return cache(lambda name: Inspection(load_domain(name)))
