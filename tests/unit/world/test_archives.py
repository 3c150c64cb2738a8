"""Archives of images: looked into without being unpacked."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from provisioner.errors import BadInput
from provisioner.world.archives import holding, whole


def archive(path: Path, *names: str) -> str:
    """As `docker save` lays one out: layers first, the list of images behind them."""
    listed = json.dumps([{"Config": "c.json", "RepoTags": list(names), "Layers": ["l/layer.tar"]}]).encode()
    with tarfile.open(path, "w") as made:
        for name, content in (("l/layer.tar", b"x" * 4096), ("manifest.json", listed)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return str(path)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("nginx:1.30.0", "docker.io/library/nginx:1.30.0"),
        ("nginx", "docker.io/library/nginx:latest"),
        ("vllm/vllm-openai:v1", "docker.io/vllm/vllm-openai:v1"),
        ("docker.io/prom/prometheus:v3", "docker.io/prom/prometheus:v3"),
        ("localhost/x", "localhost/x:latest"),
        ("registry.example:5000/x", "registry.example:5000/x:latest"),
        ("ghcr.io/x/y@sha256:00", "ghcr.io/x/y@sha256:00"),
    ],
)
def test_names_mean_what_docker_takes_them_for(name: str, meant: str) -> None:
    assert whole(name) == meant


def test_a_folder_of_archives_is_searched_for_what_is_wanted(tmp_path: Path) -> None:
    engine = archive(tmp_path / "engine.tar", "vllm/vllm-openai:v1", "unwanted:1")
    others = archive(tmp_path / "others.tar", "docker.io/library/nginx:1.30.0")
    found = holding(str(tmp_path), ("vllm/vllm-openai:v1", "nginx:1.30.0", "absent:1"))
    assert found == {"vllm/vllm-openai:v1": engine, "nginx:1.30.0": others}
    assert holding(engine, ("nginx:1.30.0",)) == {}


def test_an_image_without_a_name_is_passed_over(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar")
    assert holding(path, ("nginx",)) == {}


def test_what_is_no_archive_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no archive"):
        holding(str(tmp_path), ("nginx",))
    with pytest.raises(BadInput, match="No such file"):
        holding(str(tmp_path / "absent.tar"), ("nginx",))
    (tmp_path / "a.tar").write_bytes(b"\x1f\x8b no archive")
    with pytest.raises(BadInput, match=r"a\.tar: this is no archive of images"):
        holding(str(tmp_path), ("nginx",))
    with tarfile.open(tmp_path / "a.tar", "w"):
        pass
    with pytest.raises(BadInput, match="manifest"):
        holding(str(tmp_path), ("nginx",))
