"""``python -m t2t`` is ``t2t``."""

from t2t.cli import main

main()
