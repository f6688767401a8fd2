"""The table fits the terminal."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from t2t.report.terminal import print_report


@pytest.mark.parametrize("width", [50, 80, 140])
def test_table_fits_the_width_and_names_the_report(make_content, width):
    out = io.StringIO()
    results = make_content({"library": (1, 20), "retail": (0, 0)}).results
    print_report(results, Path("runs/quickstart/report.html"), Console(file=out, width=width))
    *tables, headline, report = out.getvalue().rstrip("\n").split("\n")
    assert all(len(line) <= width for line in tables)
    assert "50.0%" in out.getvalue()
    assert "35.2-64.8" in out.getvalue()
    assert headline.startswith("library (trained): tuned above base, +47.5 points, p < 0.001; retail (unseen): ")
    assert report == "report: runs/quickstart/report.html"
    assert ("reference" in out.getvalue()) is (width >= 60)


def test_it_prints_to_standard_output(make_content, capsys):
    print_report(make_content({"library": (1, 20)}).results, Path("report.html"))
    assert "report: report.html" in capsys.readouterr().out
