"""Run one stage: ``python scripts/parity.py recipe=NAME [SETTING=VALUE ...]``."""

from t2t.cli import run_script

if __name__ == "__main__":
    run_script("parity")
