"""Rows that share prefixes."""

import random

from t2t.train.packing import IGNORE, TokenRow

VOCABULARY = 97


def make_rows(count: int, prefix: int = 20, seed: int = 0, name: str = "row") -> list[TokenRow]:
    """Rows of ragged length behind one prefix, with loss on every other stretch of own tokens."""
    rng = random.Random(seed)
    shared = [rng.randrange(3, VOCABULARY) for _ in range(prefix)]
    rows: list[TokenRow] = []
    for number in range(count):
        own = [rng.randrange(3, VOCABULARY) for _ in range(rng.randrange(8, 30))]
        labels = [IGNORE] * (prefix + 3) + [t if (i // 4) % 2 == 0 else IGNORE for i, t in enumerate(own[3:])]
        rows.append(TokenRow(f"{name}-{number}", [*shared, *own], labels))
    return rows
