"""`provision detect` from the outside: a table or a document, of this machine or of another one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

MACHINES = Path(__file__).parent.parent.parent / "machines"


def detect(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "provisioner", "detect", *words], capture_output=True, text=True, check=False
    )


def test_the_document_is_all_of_standard_output() -> None:
    done = detect("--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["schema"] == "provision.facts/1"


def test_what_is_recorded_is_what_is_shown(tmp_path: Path) -> None:
    shown = detect("--json", "--record", str(tmp_path / "here"))
    again = detect("--json", "--sysroot", str(tmp_path / "here"))
    assert shown.returncode == again.returncode == 0
    assert shown.stdout == again.stdout


def test_a_recording_is_not_written_over_another(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("x")
    done = detect("--record", str(tmp_path))
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert "fix:" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_machine_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    done = detect("--sysroot", str(tmp_path / "nothing"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "no such folder or recording" in done.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("h200x8", ("8 × NVIDIA H200", "2 NUMA nodes", "node 1", "NVLink to 1, 2")),
        ("rtx4090x1", ("PCIe runs with 8 of 16 lanes", "persistence mode is off")),
        ("broken-driver", ("Driver/library version mismatch", "the driver does not answer")),
        ("gpu-without-driver", ("the nvidia kernel module is not loaded", "H100 SXM5 80GB at 0000:17:00.0, no driver in use")),
        ("small-vm", ("2 cores", "accelerators  none")),
        ("mi300x8", ("8 × AMD Instinct MI300X, 192 GiB each", "compute gfx942", "Infinity Fabric to 1, 2, 3")),
        ("mi300x-cpx", ("8 × AMD Instinct MI300X, 24 GiB each", "part of 0000:05:00.0 CPX/NPS4", "held by a process (4711)")),
        ("ascend-910c", ("4 × Ascend910_9392, 64 GiB each; driver 26.0.rc2", "part of NPU 1, chip 0", "held by sglangschedul (1444272)")),
        ("ascend-without-tool", ("ascend: unknown: npu-smi is not installed", "19e5:d802 at 0000:c1:00.0, no driver in use")),
        ("apple-m4-max", ("1 × Apple M4 Max, 27 GiB", "shares the host's memory")),
        ("apple-m1-16g", ("Apple M1, 1 socket, 8 cores, NEON", "16 GiB, 5.9 GiB available", "macOS 12.1 (21C52)", "153 GiB free of 926 GiB")),
        ("arc-b570", ("Intel(R) UHD Graphics 770, shares the host's memory", "9.9 GiB free of 10 GiB")),
    ],
)  # fmt: skip
def test_the_table_says_what_matters(name: str, words: tuple[str, ...]) -> None:
    done = detect("--sysroot", str(MACHINES / f"{name}.json"))
    assert done.returncode == 0
    text = " ".join(done.stdout.split())
    assert [each for each in words if " ".join(each.split()) not in text] == []
