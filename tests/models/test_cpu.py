import pytest

from t2t.models.cpu import fast_cpu_dtype


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        ("processor : 0\nflags\t\t: fpu avx2 fma\n", "float32"),
        ("processor : 0\nflags\t\t: fpu avx512f avx512_bf16\n", "bfloat16"),
        ("processor : 0\nFeatures\t: asimd bf16 sve\n", "bfloat16"),
        ("processor : 0\n", "float32"),
    ],
)
def test_the_fast_type_is_what_the_processor_has_instructions_for(tmp_path, text, dtype):
    file = tmp_path / "cpuinfo"
    file.write_text(text)
    assert fast_cpu_dtype(file) == dtype


@pytest.mark.parametrize(("flags", "dtype"), [("avx512f avx512_bf16", "float32"), ("avx512_bf16 amx_bf16", "bfloat16")])
def test_training_takes_bfloat16_only_with_tiles(tmp_path, flags, dtype):
    file = tmp_path / "cpuinfo"
    file.write_text(f"flags : fpu {flags}\n")
    assert fast_cpu_dtype(file, training=True) == dtype


def test_a_system_that_does_not_tell_gets_float32(tmp_path):
    assert fast_cpu_dtype(tmp_path / "gone") == "float32"
