import os
import re
import socket

import pytest

from t2t.config import EngineConfig, ModelConfig
from t2t.errors import ConfigError, RunError
from t2t.models.engines import Engines
from t2t.models.server import VLLMServer
from t2t.models.server_log import cause_of_death


def test_what_cannot_work_is_refused_before_anything_starts(weights_dir, tmp_path):
    log_file = tmp_path / "server.log"
    with pytest.raises(ConfigError, match="model.source=weights/gone does not exist; `make weights`"):
        VLLMServer(ModelConfig(source="weights/gone"), EngineConfig(), "m", log_file)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"engine.port={port} is in use"):
            VLLMServer(ModelConfig(source=str(weights_dir)), EngineConfig(port=port), "m", log_file)
    assert not log_file.exists()


@pytest.mark.slow
def test_a_server_that_dies_leaves_its_cause_in_one_line(weights_dir, tmp_path, descendants):
    engine = EngineConfig(args={"no_such_option": True, "seed": [1], "hf_overrides": {"a": 1}, "revision": None})
    engines = Engines(ModelConfig(source=str(weights_dir)), engine, "m", tmp_path / "logs" / "server.log")
    before = descendants(os.getpid())
    with pytest.raises(RunError, match=r"^vLLM ended at its start: .*--no-such-option.*; see .*server\.log$"):
        engines.start()
    assert descendants(os.getpid()) <= before
    engines.stop()


def test_only_what_the_last_server_wrote_tells_its_cause(tmp_path):
    file = tmp_path / "server.log"
    file.write_text("torch.OutOfMemoryError: CUDA out of memory\n")
    start = file.stat().st_size
    file.write_text(file.read_text() + "one\n")
    assert cause_of_death(file, 7, start) == "exit status 7 after 'one'"


@pytest.mark.parametrize(
    ("status", "log", "cause"),
    [
        (
            1,
            "(Worker pid=7) ERROR 11-22 19:26:56 [multiproc_executor.py:1063] ValueError: Available memory on node 0 "
            "(0.94/23.54 GiB) on kv cache allocation is less than requested memory for kv (2.0 GiB).\n"
            "(APIServer pid=5) RuntimeError: Engine core initialization failed. See root cause above.",
            "out of memory for the KV cache; .*engine.cpu_kv_cache_gib .*0.94/23.54 GiB",
        ),
        (1, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "^out of memory "),
        (
            1,
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig\n"
            "  Value error, Model architectures ['X'] are not supported for now. Supported: ...",
            "^vLLM does not know this model architecture .*'X'",
        ),
        (
            1,
            "safetensors._safetensors_rust.SafetensorError: Error while deserializing header: file not fully covered",
            "^the weights or their config are damaged",
        ),
        (
            1,
            "ValueError: Free memory on device cuda:0 (1.2/79.1 GiB) on startup is less than desired GPU memory "
            "utilization (0.92, 72.8 GiB).",
            "^the GPU is in use by others, or too small; .*gpu_memory_utilization .*1.2/79.1 GiB",
        ),
        (1, "RuntimeError: No CUDA GPUs are available", "^vLLM finds no GPU that it can use"),
        (
            1,
            "(APIServer pid=5) WARNING 11-22 19:26:56 [core_client.py:815] [shutdown] MPClient: engine core exited "
            "unexpectedly; starting cleanup\n"
            "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue.",
            "^its engine process was killed, most likely for want of memory$",
        ),
        (
            -9,
            "(APIServer pid=5) WARNING 11-22 19:26:56 [launcher.py:1] Found ulimit of 1024. This can cause errors like "
            "`OSError: [Errno 24] Too many open files`.",
            "^it was killed, most likely",
        ),
        (137, "INFO loading", "killed, most likely for want of memory"),
        (1, "OSError: [Errno 98] Address already in use", "engine.port"),
        (7, "one\ntwo", "exit status 7 after 'two'"),
        (7, "", "exit status 7"),
        (1, "KeyError: 'x'\nRuntimeError: Engine core initialization failed. See root cause above.", "^KeyError: 'x'$"),
    ],
)
def test_the_cause_of_death_is_read_from_the_log(tmp_path, status, log, cause):
    file = tmp_path / "server.log"
    file.write_text(log)
    assert re.search(cause, cause_of_death(file, status))
