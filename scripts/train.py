"""Run the whole chain: ``accelerate launch scripts/train.py recipe=NAME [SETTING=VALUE ...]``.

The main process makes what is missing, all ranks train, the main process evaluates and reports.
``stages=[train]`` runs the training stage alone.
"""

from t2t.cli import run_script

if __name__ == "__main__":
    run_script()
