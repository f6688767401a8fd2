"""Run every benchmark on this machine: ``python -m benchmarks``. Each prints a table and a last line of JSON."""

import importlib.util
import subprocess
import sys
from pathlib import Path

WEIGHTS = "weights/smollm2-135m-instruct"
RUNS = (("training.py", WEIGHTS), ("synthesis.py",), ("fuzz.py",), ("validation.py",))
if importlib.util.find_spec("tau2"):
    RUNS += (("environment.py",), ("rollout.py",))
else:
    print("environment.py and rollout.py need make setup-tau2", flush=True)

for name, *arguments in RUNS:
    print(f"== {name}", flush=True)
    code = subprocess.run([sys.executable, str(Path(__file__).parent / name), *arguments]).returncode
    if code:
        raise SystemExit(code)
