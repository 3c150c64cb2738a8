"""A registry on this machine, which keeps the images that are made here and gives each the digest that plans name it by.

Its storage is part of the test bed's folder: a machine that got the folder from an earlier one pulls what it would have to make.
What is too big to be packed twice is not built by Docker but put here directly, layer by layer.
"""

import hashlib
import http.client
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from tools.bed import CACHE, NotHad, check, last_line, read
from tools.docker import answers as docker_answers
from tools.docker import docker, forget_older, has

HOST, PORT = "127.0.0.1", 5077
ADDRESS = f"{HOST}:{PORT}"
OURS = "provision-testbed/"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar"
CHUNK = 1 << 20
ONE_AT_A_TIME = threading.Lock()
"""Two images that stand on one layer do not both make it."""

SETTINGS = f"""version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {CACHE}/registry}}
  delete: {{enabled: true}}
http: {{addr: "{ADDRESS}"}}
"""


def missing() -> str:
    """Why there is no registry; empty when it answers."""
    return "" if _answers() else f"no registry answers at {ADDRESS}: `make world` starts it"


def bring() -> str:
    if not _answers():
        if not shutil.which("docker-registry"):
            raise NotHad("the program `docker-registry` is not installed")
        _start()
    return ADDRESS


def image_missing(image: str) -> str:
    """Why an image cannot be used; empty when it can."""
    if not docker_answers():
        return "no Docker Engine answers"
    return "" if has(image) else f"the image {image} is not there: `make world` makes it"


def bring_image(image: str, make: Callable[[str], None]) -> str:
    """Have `provision-testbed/NAME:KEY` in the engine, with its digest; `make` puts it into the registry under its tag there."""
    if missing() or not docker_answers():
        raise NotHad("it comes through the registry, and the registry or the Docker Engine does not answer")
    if has(image):
        return f"{image}, there already"
    there = f"{ADDRESS}/{image}"
    made = "from the registry"
    if not _stored(image):
        made = "made"
        make(there)
    if not has(there):
        docker("pull", "--quiet", there)
    docker("tag", there, image)
    forget_older(image)
    forget_older(there)
    _forget_stored(image)
    return f"{image}, {made}"


def by_digest(image: str) -> str:
    """The name by which a plan pins an image: one that the engine has, and that can be pulled from the registry."""
    digests = json.loads(docker("image", "inspect", "--format", "{{json .RepoDigests}}", image))
    return str(next(each for each in digests if each.startswith(ADDRESS)))


def add_layers(base: str, image: str, layers: Mapping[str, Callable[[str], None]], settings: dict[str, Any]) -> None:
    """Put an image into the registry: all of `base`, and a layer of what each function puts into the folder it is given.

    A layer is known by its name, and made once.
    """
    repository, _, tag = image.removeprefix(f"{ADDRESS}/").partition(":")
    source, _, source_tag = base.partition(":")
    manifest = json.loads(_ask("GET", f"/v2/{source}/manifests/{source_tag}", headers={"Accept": MANIFEST}))
    config = json.loads(_ask("GET", f"/v2/{source}/blobs/{manifest['config']['digest']}"))
    for each in manifest["layers"]:
        _mount(repository, source, each["digest"])
    for name, fill in layers.items():
        with ONE_AT_A_TIME:
            layer = _layer(repository, name, fill)
        manifest["layers"].append(layer)
        config["rootfs"]["diff_ids"].append(layer["digest"])  # Not packed, so both of its hashes are one.
        config["history"].append({"created_by": name})
    config["config"] = {**config["config"], **settings}
    content = json.dumps(config).encode()
    manifest["config"] = {"mediaType": CONFIG, "size": len(content), "digest": _upload(repository, iter([content]))[0]}
    _ask("PUT", f"/v2/{repository}/manifests/{tag}", json.dumps(manifest).encode(), {"Content-Type": MANIFEST})


def _layer(repository: str, name: str, fill: Callable[[str], None]) -> dict[str, Any]:
    """Its description is kept beside the registry's storage, for the next image that is made with it."""
    known = f"{CACHE}/registry/layers/{name}.json"
    if os.path.exists(known):
        layer = cast(dict[str, Any], json.loads(read(known)))
        if _mount(repository, layer["repository"], layer["descriptor"]["digest"]):
            return cast(dict[str, Any], layer["descriptor"])
    with tempfile.TemporaryDirectory(dir=CACHE) as root:
        fill(root)
        digest, size = _upload(repository, _packed(root))
    descriptor = {"mediaType": LAYER, "size": size, "digest": digest}
    os.makedirs(os.path.dirname(known), exist_ok=True)
    with open(known, "w", encoding="utf-8") as file:
        json.dump({"repository": repository, "descriptor": descriptor}, file)
    return descriptor


def _packed(root: str) -> Iterator[bytes]:
    options = ["--numeric-owner", "--owner=0", "--group=0", "--sort=name"]
    command = ["tar", *options, "-C", root, "-cf", "-", *sorted(os.listdir(root))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tar:
        assert tar.stdout is not None
        while content := tar.stdout.read(CHUNK):
            yield content
    if tar.returncode:
        raise NotHad(f"tar could not pack {root}")


def _upload(repository: str, chunks: Iterator[bytes]) -> tuple[str, int]:
    """Send a blob whose hash is known when all of it is sent."""
    digest, size = hashlib.sha256(), 0

    def counted() -> Iterator[bytes]:
        nonlocal size
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            yield chunk

    headers: dict[str, str] = {}
    _ask("POST", f"/v2/{repository}/blobs/uploads/", answer=headers)
    _ask("PATCH", headers["location"], counted(), {"Content-Type": "application/octet-stream"}, headers)
    name = f"sha256:{digest.hexdigest()}"
    joint = "&" if "?" in headers["location"] else "?"
    _ask("PUT", f"{headers['location']}{joint}digest={name}")
    return name, size


def _mount(repository: str, source: str, digest: str) -> bool:
    """Have a blob of another repository in this one, without sending it."""
    headers: dict[str, str] = {}
    _ask("POST", f"/v2/{repository}/blobs/uploads/?mount={digest}&from={source}", answer=headers)
    return "docker-content-digest" in headers


def _forget_stored(image: str) -> None:
    """Those of earlier recipes are not offered any more; what only they are made of is swept away before the next start."""
    repository, _, wanted = image.partition(":")
    tags = json.loads(_ask("GET", f"/v2/{repository}/tags/list"))["tags"]
    digests = {tag: _digest(repository, tag) for tag in tags}
    for digest in set(digests.values()) - {digests[wanted]}:
        _ask("DELETE", f"/v2/{repository}/manifests/{digest}")


def _digest(repository: str, tag: str) -> str:
    headers: dict[str, str] = {}
    _ask("HEAD", f"/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFEST}, answer=headers)
    return headers["docker-content-digest"]


def _stored(image: str) -> bool:
    repository, _, tag = image.partition(":")
    try:
        return bool(_digest(repository, tag))
    except NotHad:
        return False


def _answers() -> bool:
    try:
        _ask("GET", "/v2/")
    except (OSError, NotHad):
        return False
    return True


def _ask(
    method: str,
    address: str,
    body: bytes | Iterator[bytes] | None = None,
    headers: dict[str, str] | None = None,
    answer: dict[str, str] | None = None,
) -> bytes:
    """One question; the headers of the answer are put into `answer`."""
    connection = http.client.HTTPConnection(HOST, PORT, timeout=600)
    try:
        path = address.removeprefix(f"http://{ADDRESS}")
        connection.request(method, path, body, headers or {}, encode_chunked=isinstance(body, Iterator))
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    if response.status >= 300:
        raise NotHad(f"the registry answers {response.status} to {method} {path}: {content[:300]!r}")
    if answer is not None:
        answer.clear()
        answer.update({name.lower(): value for name, value in response.getheaders()})
    return content


def _start() -> None:
    os.makedirs(f"{CACHE}/registry", exist_ok=True)
    settings, log = f"{CACHE}/registry.yaml", f"{CACHE}/registry.log"
    with open(settings, "w", encoding="utf-8") as file:
        file.write(SETTINGS)
    if os.path.exists(f"{CACHE}/registry/docker"):
        check(["docker-registry", "garbage-collect", settings])
    with open(log, "w", encoding="utf-8") as output:
        program = subprocess.Popen(
            ["docker-registry", "serve", settings],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + 30
    while not _answers():
        if program.poll() is not None or time.monotonic() > deadline:
            raise NotHad(f"docker-registry does not start: {last_line(read(log))} (more in {log})")
        time.sleep(0.1)
