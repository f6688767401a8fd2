"""What the numbers say, in words: every sentence follows from a comparison, never from hope."""

from t2t.report.results import Comparison, ResultRow, Results


def write_headline(results: Results) -> tuple[str, ...]:
    """Say for each domain what tuning does there; trained domains come first.

    A sentence claims a difference only when the two intervals are apart and the paired test agrees.

    Returns:
        Two sentences per domain in one string; empty where tuned and base have no task in common.
    """
    return tuple(_describe(results, row) for row in results.comparisons if row.intent == "all")


def write_headline_line(results: Results) -> str:
    """Say the same as `write_headline` in one line without intervals."""
    parts = [
        f"{row.domain} ({'trained' if row.seen else 'unseen'}): tuned {_LINE[row.verdict]}, "
        f"{points(row.difference)} points, p {p_value(row.p_value)}"
        for row in results.comparisons
        if row.intent == "all"
    ]
    return "; ".join(parts) or "no task was played by both tuned and base, so nothing is compared"


def percent(share: float) -> str:
    """Write a share in [0, 1] as a percentage with one decimal."""
    return f"{100 * share:.1f}%"


def interval(low: float, high: float) -> str:
    """Write an interval of shares in [0, 1] in percent, without the sign."""
    return f"{100 * low:.1f} to {100 * high:.1f}"


def points(difference: float) -> str:
    """Write a difference of shares in percentage points, with its sign."""
    rounded = round(100 * difference, 1)
    sign = "+" if rounded > 0 else "\N{MINUS SIGN}" if rounded < 0 else ""
    return f"{sign}{abs(rounded):.1f}"


def p_value(value: float) -> str:
    """Write a p value with its relation sign."""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


_LINE = {"higher": "above base", "lower": "below base", "open": "not told apart from base"}


def _describe(results: Results, row: Comparison) -> str:
    place = "which it is trained on" if row.seen else "from which no training row comes"
    tuned, base = (_share(results, model, row.domain) for model in ("tuned", "base"))
    return (
        f"On {row.num_tasks} held-out tasks of {row.domain}, {place}, the tuned model solves {tuned} "
        f"and the base model {base}: a difference of {points(row.difference)} points "
        f"({points(row.low)} to {points(row.high)}, paired p {p_value(row.p_value)}). {_conclude(row)}"
    )


def _share(results: Results, model: str, domain: str) -> str:
    row = find_row(results, model, domain)
    return f"{percent(row.success)} (95% interval {interval(row.low, row.high)})"


def find_row(results: Results, model: str, domain: str) -> ResultRow:
    """Find a model's row for all intents of a domain; it exists for every comparison."""
    return next(r for r in results.results if (r.model, r.domain, r.intent) == (model, domain, "all"))


def _conclude(row: Comparison) -> str:
    if row.verdict == "open":
        reason = "The two intervals overlap" if row.overlap else f"The paired test gives p {p_value(row.p_value)}"
        if row.seen:
            return f"{reason}: these tasks do not show that tuning changes success on {row.domain}."
        return f"{reason}: these tasks do not show that what is learned carries over to {row.domain}."
    if row.verdict == "lower":
        return f"The intervals do not overlap: tuning lowers success on {row.domain}."
    if row.seen:
        return f"The intervals do not overlap: tuning raises success on {row.domain}."
    return f"The intervals do not overlap: what is learned carries over to {row.domain}."
