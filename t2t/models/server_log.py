"""Why a server died, in one line, from what it logged."""

import re
from pathlib import Path

_TAIL_BYTES = 200_000
_KILLED = 128 + 9
_PREFIX = re.compile(r"^(\([^)]*pid=\d+\) )?((ERROR|WARNING|INFO|CRITICAL) [\d-]+ [\d:]+ )?(\[\w+\.py:\d+\] ?)?")
_ERROR = re.compile(r"^[\w.]*(Error|Exception|Interrupt)\b|\berror[:,]|errno", re.IGNORECASE)
_CONSEQUENCE = "See root cause above"
_CAUSES = (
    (r"out of memory|OutOfMemoryError|MemoryError|Cannot allocate memory|DefaultCPUAllocator", "out of memory"),
    (
        r"KV cache is needed|No available memory for the cache|kv cache allocation|less than desired GPU memory",
        "out of memory for the KV cache; free memory, or change model.max_context or engine.cpu_kv_cache_gib",
    ),
    (r"Address already in use|\[Errno 98\]|EADDRINUSE", "the port is in use; set engine.port=0 or another port"),
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


def cause_of_death(log_file: Path, status: int) -> str:
    """The cause, with the line that shows it where one does.

    Args:
        log_file: what the server wrote.
        status: its exit status; 128 + the signal's number where one ended it.
    """
    lines = [_PREFIX.sub("", line).strip() for line in _tail(log_file).splitlines()]
    errors = [line for line in lines if _ERROR.search(line)]
    for pattern, meaning in _CAUSES:
        for line in errors:
            if re.search(pattern, line):
                return f"{meaning} ({_shorten(line)})"
    if status == _KILLED:
        return "it was killed, most likely for want of memory"
    roots = [line for line in errors if _CONSEQUENCE not in line]
    if roots:
        return _shorten(roots[-1])
    return f"exit status {status}" + (f" after {_shorten(lines[-1])!r}" if lines else "")


def _shorten(line: str) -> str:
    return line if len(line) <= 300 else line[:297] + "..."


def _tail(file: Path) -> str:
    with file.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _TAIL_BYTES))
        return stream.read().decode(errors="replace")
