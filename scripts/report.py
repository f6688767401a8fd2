"""Write and print the report of a run: ``python scripts/report.py recipe=NAME``."""

from t2t.cli import run_script

if __name__ == "__main__":
    run_script("report")
