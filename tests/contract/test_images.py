"""Each image of the test bed starts the way plans start it, on a network of its own, and answers."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from provisioner.world import tinymodel
from tests.bed.engine import Engine
from tools import images, pyimages, registry

AS_PLANNED = (
    f"--user={os.getuid()}:{os.getgid()}", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--init",
    "--security-opt=no-new-privileges", "--env=HOME=/tmp",
)  # fmt: skip
OFFLINE = ("--env=HF_HUB_OFFLINE=1",)
SECONDS = 240

GATEWAY = """
load_module modules/ngx_http_js_module.so;
load_module modules/ndk_http_module.so;
load_module modules/ngx_http_lua_module.so;
pid /tmp/nginx.pid;
events {}
http {
    client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
    server { listen 8080; location / { content_by_lua_block { ngx.say("ready") } } }
}
"""


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"docker {words}: {done.stderr}"
    return done.stdout.strip()


@contextmanager
def started(image: str, port: int, *argv: str, options: tuple[str, ...] = ()) -> Iterator[str]:
    """The address at which a container's port is reached from this machine."""
    name = f"provision-image-{os.getpid()}-{time.monotonic_ns()}"
    docker("network", "create", name)
    try:
        run = ("--name", name, "--network", name, f"--publish=127.0.0.1::{port}", *AS_PLANNED, *options)
        docker("run", "--detach", *run, image, *argv)
        yield f"http://{docker('port', name, str(port))}"
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, check=False)
        docker("network", "rm", name)


def answer(address: str) -> bytes:
    """What is said there once something is said."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            with urlopen(address, timeout=10) as said:
                content: bytes = said.read()
                return content
        except (URLError, OSError):
            if time.monotonic() > deadline:
                raise
        time.sleep(0.3)


def seen(folder: Path) -> tuple[str, ...]:
    return (f"--volume={folder}:/given:ro",)


@pytest.mark.needs("gateway")
def test_the_gateway_runs_lua_and_knows_javascript(tmp_path: Path) -> None:
    """As its own user: the one of root would want to give up rights that it does not have."""
    (tmp_path / "nginx.conf").write_text(GATEWAY)
    tmp_path.chmod(0o755)
    command = ("nginx", "-c", "/given/nginx.conf", "-g", "daemon off;")
    with started(images.image("nginx"), 8080, *command, options=(*seen(tmp_path), "--user=nginx")) as address:
        assert answer(address) == b"ready\n"


@pytest.mark.needs("prometheus")
def test_prometheus_is_ready() -> None:
    with started(images.image("prometheus"), 9090, options=("--tmpfs=/prometheus",)) as address:
        assert b"Ready" in answer(f"{address}/-/ready")


@pytest.mark.needs("prometheus")
def test_the_exporter_tells_of_the_host() -> None:
    with started(images.image("node-exporter"), 9100) as address:
        assert b"node_memory_MemTotal_bytes " in answer(f"{address}/metrics")


@pytest.mark.needs("ollama")
def test_ollama_tells_the_version_that_was_built() -> None:
    with started(images.image("ollama"), 11434) as address:
        assert json.loads(answer(f"{address}/api/version")) == {"version": "0.17.4"}


@pytest.mark.needs("llamacpp")
def test_the_server_of_llamacpp_loads_a_model(tmp_path: Path) -> None:
    tinymodel.write(str(tmp_path / "tiny.gguf"))
    with started(images.image("llamacpp"), 8080, "--model", "/given/tiny.gguf", options=seen(tmp_path)) as address:
        assert json.loads(answer(f"{address}/health")) == {"status": "ok"}


@pytest.mark.needs("registry", "gateway")
def test_an_image_is_pulled_by_its_digest() -> None:
    name = registry.by_digest(images.image("nginx"))
    assert "@sha256:" in name
    assert "Image is up to date" in docker("pull", name)


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.needs("image-vllm", "vllm")
def test_vllm_serves_a_model(engine: Engine) -> None:
    options = (*seen(engine.model("gqa")), *OFFLINE, "--shm-size=256m", "--env=VLLM_CPU_KVCACHE_SPACE=1")
    command = ("/given", "--served-model-name=tiny", "--max-model-len=512", "--enforce-eager")
    with started(pyimages.image(pyimages.VLLM), 8000, *command, options=options) as address:
        (model,) = json.loads(answer(f"{address}/v1/models"))["data"]
    assert (model["id"], model["max_model_len"]) == ("tiny", 512)


@pytest.mark.slow
@pytest.mark.needs("image-vllm", "vllm")
def test_transformers_serves_a_model(engine: Engine) -> None:
    options = (*seen(engine.model("gqa")), *OFFLINE, "--entrypoint=transformers")
    command = ("serve", "/given", "--device=cpu", "--host=0.0.0.0", "--port=8000")
    with started(pyimages.image(pyimages.VLLM), 8000, *command, options=options) as address:
        assert json.loads(answer(f"{address}/health")) == {"status": "ok"}


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.needs("openwebui")
def test_the_chat_page_is_up() -> None:
    options = (
        "--tmpfs=/app/backend/data",
        *OFFLINE,
        "--env=WEBUI_SECRET_KEY=of-the-tests",
        "--env=ENABLE_OLLAMA_API=false",
    )
    with started(pyimages.image(pyimages.OPEN_WEBUI), 8080, options=options) as address:
        assert json.loads(answer(f"{address}/health")) == {"status": True}
