"""Why a server died, in one line, from what it logged."""

import re
from pathlib import Path

_TAIL_BYTES = 200_000
_KILLED = (128 + 9, -9)
_PREFIX = re.compile(r"^(\([^)]*pid=\d+\) )?((ERROR|WARNING|INFO|CRITICAL) [\d-]+ [\d:]+ )?(\[\w+\.py:\d+\] ?)?")
_ERROR = re.compile(r"^[\w.]*(Error|Exception|Interrupt)\b|\berror[:,]|errno", re.IGNORECASE)
_CONSEQUENCES = ("See root cause above", "EngineDeadError", "EngineCore encountered an issue")
_ENGINE_GONE = re.compile(r"engine core.* (died|exited) unexpectedly", re.IGNORECASE)
_ADVICE = re.compile(r"^(\([^)]*pid=\d+\) )?(WARNING|INFO|DEBUG) ")
"""Lines that may speak of errors, and are none."""
_CAUSES = (
    (
        r"Free memory on device|devices? (is|are) busy or unavailable|less than desired GPU memory",
        "the GPU is in use by others, or too small; free it, or lower engine.args.gpu_memory_utilization",
    ),
    (r"out of memory|OutOfMemoryError|MemoryError|Cannot allocate memory|DefaultCPUAllocator", "out of memory"),
    (
        r"KV cache is needed|No available memory for the cache|kv cache allocation",
        "out of memory for the KV cache; free memory, or change model.max_context or engine.cpu_kv_cache_gib",
    ),
    (r"Address already in use|\[Errno 98\]|EADDRINUSE", "the port is in use; set engine.port=0 or another port"),
    (
        r"Failed to infer device type|No CUDA GPUs are available|NVIDIA driver on your system is too old"
        r"|no NVIDIA driver|CUDA driver version is insufficient",
        "vLLM finds no GPU that it can use; `nvidia-smi` shows the GPUs and their driver",
    ),
    (
        r"architectures? .* (is|are) not supported|does not recognize this architecture|not supported for now",
        "vLLM does not know this model architecture",
    ),
    (
        r"SafetensorError|HeaderTooLarge|InvalidHeader|MetadataIncompleteBuffer|size mismatch|shape mismatch"
        r"|were not initialized from checkpoint|JSONDecodeError|loaded_weight",
        "the weights or their config are damaged or do not fit each other",
    ),
)


def cause_of_death(log_file: Path, status: int, start: int = 0) -> str:
    """The cause, with the line that shows it where one does.

    Args:
        log_file: what the server wrote.
        status: its exit status; 128 + the signal's number where one ended it, or its negative number.
        start: byte of the file at which this server began to write.
    """
    written = _tail(log_file, start).splitlines()
    lines = [_PREFIX.sub("", line).strip() for line in written]
    errors = [line for line, raw in zip(lines, written, strict=True) if _ERROR.search(line) and not _ADVICE.match(raw)]
    for pattern, meaning in _CAUSES:
        for line in errors:
            if re.search(pattern, line):
                return f"{meaning} ({_shorten(line)})"
    if status in _KILLED:
        return "it was killed, most likely for want of memory"
    if any(_ENGINE_GONE.search(line) for line in lines) and not [one for one in errors if _is_root(one)]:
        return "its engine process was killed, most likely for want of memory"
    roots = [line for line in errors if _is_root(line)]
    if roots:
        return _shorten(roots[-1])
    return f"exit status {status}" + (f" after {_shorten(lines[-1])!r}" if lines else "")


def _is_root(line: str) -> bool:
    return not any(consequence in line for consequence in _CONSEQUENCES)


def _shorten(line: str) -> str:
    return line if len(line) <= 300 else line[:297] + "..."


def _tail(file: Path, start: int) -> str:
    with file.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(start, size - _TAIL_BYTES))
        return stream.read().decode(errors="replace")
