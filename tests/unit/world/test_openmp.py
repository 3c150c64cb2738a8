"""The OpenMP runtime is found on machines that lack it."""

import subprocess
import sys
from pathlib import Path

import pytest

from provisioner.world import openmp

PROBE = """
import ctypes, sys
from provisioner.world import openmp
carried = next(openmp._carried(sys.path))
openmp.load_as(carried, "libnowhere.so.1")
ctypes.CDLL("libnowhere.so.1").omp_get_max_threads()
print("loaded")
"""


def test_a_carried_library_answers_to_the_name_that_it_is_given() -> None:
    pytest.importorskip("pykdtree")
    result = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=False)
    assert result.stdout == "loaded\n", result.stderr


def test_a_library_that_does_not_name_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "libgomp-1234.so.1").write_bytes(b"no library")
    with pytest.raises(OSError, match="does not name itself"):
        openmp.load_as(str(tmp_path / "libgomp-1234.so.1"), openmp.NAME)
