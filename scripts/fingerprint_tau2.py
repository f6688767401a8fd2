"""Take the fingerprint of tau2's human-written tasks: ``.venv/bin/python scripts/fingerprint_tau2.py``.

Writes ``t2t/interop/tau2/fingerprint.json``; needs what ``make setup-tau2`` installs. Run it again where tau2,
rensa or the print of a task changes; a test of ``make test-tau2`` tells.
"""

from t2t.interop.tau2.fingerprint import FILE, make_fingerprint

if __name__ == "__main__":
    fingerprint = make_fingerprint()
    FILE.write_text(fingerprint.model_dump_json() + "\n")
    print(f"{FILE.name}: {len(fingerprint.texts)} texts, {len(fingerprint.identifiers)} identifiers")
