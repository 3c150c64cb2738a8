"""The gateway, nginx: the one door. TLS, a key for each person with limits, and one `/v1` over all engines."""

import json

from provisioner.errors import BadInput
from provisioner.model.containers import Container, Health, MakeCertificate, Mount, Published, Question, ReleaseFile
from provisioner.model.plan import Service
from provisioner.model.plugins import Companion, Place, Stack
from provisioner.services import _gateway_keys as people
from provisioner.world.templates import fill

NAME = "gateway"
IMAGE = "nginx:1.30.0"
"""The maker's own with njs inside: nginx/docker-nginx@0d7f4380c735, stable/debian/Dockerfile."""

PORT = 8443
INSIDE_PORT = 8080
"""Without TLS, for the other containers of the stack."""
METRICS_PORT = 9145

ROUTES = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/rerank", "/v1/responses")
"""What answers without making, loading or removing anything, and is named alike by the engines that have it:
vLLM https://docs.vllm.ai/en/latest/serving/openai_compatible_server, llama.cpp tools/server/README.md."""

WAYS = (("engine", (None,)), ("stream", ()))
"""Answers that say how many tokens they took are looked into; streams that were not asked for it pass untouched."""

PAGE = ("openwebui", "webui", 8080)
"""The plug-in of the chat page, its container and its port."""

WORKERS = 4
WILDCARDS = ("0.0.0.0", "::", "")  # noqa: S104 - compared with
CONNECTIONS = 4096
"""Of each worker; a stream takes two."""
OPEN_FILES = 2 * CONNECTIONS

BODY_MEGABYTES = 64
"""Some pictures fit in."""

LEAST_READ_SECONDS = 1800
"""An answer that is not streamed is silent until it is whole."""

CIPHERS = ":".join(
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
    )
)
"""For TLS 1.2: Mozilla's intermediate set without finite fields, https://ssl-config.mozilla.org/guidelines/5.7.json."""

MEMORY_BYTES = 2 * 2**30

CAPABILITIES = ("SETGID",)
"""Where it runs as root, to read root's secrets: with no other of root's powers; without this nginx cannot start its workers quietly."""

KEYS = "/srv/keys"
TLS = "/srv/tls"


def containers(stack: Stack) -> tuple[Container, ...]:
    place = stack.place
    return (
        Container(
            name=NAME,
            kind=NAME,
            image=stack.images.get(NAME, IMAGE),
            argv=("/bin/sh", f"/etc/{NAME}/start.sh"),
            env={"RES_OPTIONS": "timeout:1 attempts:1"},
            secrets=(_key_file(stack),),
            # Folders, not files: a file that is replaced would still be seen as it was.
            mounts=(
                Mount(f"@LIVE@/{NAME}", f"/etc/{NAME}"),
                Mount(keys_folder(place), KEYS),
                Mount(served_folder(place), TLS),
            ),
            published=(Published(stack.host, stack.port, PORT),),
            health=Health(("curl", "--silent", "--fail", f"http://127.0.0.1:{METRICS_PORT}/healthz"), start_seconds=5),
            memory_max_bytes=MEMORY_BYTES,
            capabilities=CAPABILITIES if _as_root(place) else (),
            open_files=OPEN_FILES,
        ),
    )


def keys_folder(place: Place) -> str:
    """Where people's keys are kept, as hashes."""
    return f"{place.state}/secrets/{NAME}"


def tls_folder(place: Place) -> str:
    """Where the authority and what it vouched for are kept."""
    return f"{place.state}/secrets/tls"


def served_folder(place: Place) -> str:
    """What of it the gateway sees: its own certificate and key, and not the authority's key."""
    return f"{tls_folder(place)}/served"


def authority(place: Place) -> str:
    """What clients hold the gateway's certificate against."""
    return f"{tls_folder(place)}/authority.pem"


def _as_root(place: Place) -> bool:
    return place.owner.startswith("0:")


def _key_file(stack: Stack) -> str:
    """Every engine of a stack takes the same key."""
    return stack.engines[0].key_file


def files(stack: Stack) -> tuple[ReleaseFile, ...]:
    page = [PAGE[1]] if PAGE[0] in stack.wanted else []
    configuration = fill(
        "gateway/nginx.conf.j2",
        user=["root"] if _as_root(stack.place) else [],
        workers=WORKERS,
        connections=CONNECTIONS,
        port=PORT,
        inside_port=INSIDE_PORT,
        metrics_port=METRICS_PORT,
        ciphers=CIPHERS,
        body_megabytes=BODY_MEGABYTES,
        routes=ROUTES,
        ways=WAYS,
        page=page,
        no_page=[] if page else [None],
    )
    key = _key_file(stack).rpartition("/")[2]
    return (
        ReleaseFile(f"{NAME}/nginx.conf", configuration),
        ReleaseFile(f"{NAME}/gateway.js", fill("gateway/gateway.js.j2")),
        ReleaseFile(f"{NAME}/start.sh", fill("gateway/start.sh.j2", key=key)),
        ReleaseFile(f"{NAME}/routes.txt", routes(stack), awaited=True),
        ReleaseFile(f"{NAME}/no-keys.conf", people.text(())),
    )


def routes(stack: Stack) -> str:
    """Which engines each model has, in one file: the gateway takes it up while it runs, and no stream ends for it.

    Its first line tells one content from another, and the gateway shows it as what is in force.
    """
    groups = groups_of(stack)
    models = {name: _group(number) for number, name in enumerate(groups)}
    page = [PAGE[1]] if PAGE[0] in stack.wanted else []
    lines = (f"# {_read_seconds(stack)}", f"# {json.dumps(models, sort_keys=True)}", *_addresses(groups, page))
    body = "".join(f"{line}\n" for line in lines)
    return f"# provision.routes/1 {people.digest_of(body)}\n{body}"


def groups_of(stack: Stack) -> dict[str, tuple[Service, ...]]:
    """The servers of each model on this machine, in the order of the plan."""
    groups: dict[str, tuple[Service, ...]] = {}
    for one in stack.engines:
        if not one.node:
            for name in (one.model_name, *one.adapters):
                groups[name] = (*groups.get(name, ()), one)
    return groups


def _group(number: int) -> str:
    return f"model_{number}"


def _addresses(groups: dict[str, tuple[Service, ...]], page: list[str]) -> list[str]:
    """A line for each server: the name of its group, its own, and its port."""
    served = [
        f"{_group(number)} {one.name} {one.port}" for number, group in enumerate(groups.values()) for one in group
    ]
    return [*served, *(f"{name} {name} {PAGE[2]}" for name in page)]


def _read_seconds(stack: Stack) -> int:
    return max(LEAST_READ_SECONDS, *(4 * one.first_token_seconds for one in stack.engines))


def _quoted(name: str) -> str:
    """As a part of a path."""
    plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
    return "".join(chr(letter) if letter in plain else f"%{letter:02X}" for letter in name.encode())


def questions(stack: Stack) -> tuple[Question, ...]:
    """Whether it is there, keeps strangers out, and lets its own key in."""
    base, vouches = url(stack.host, stack.port), authority(stack.place)
    models, digest = f"{base}/v1/models", routes(stack).partition("\n")[0].rpartition(" ")[2]
    return (
        Question(NAME, "the gateway, by the routes of this release", f"{base}/healthz", authority=vouches, contains=f'"{digest}"'),
        Question(NAME, "the models, without a key", models, status=401, authority=vouches),
        *(
            Question(
                NAME, f"the model {name}, with a key", f"{models}/{_quoted(name)}",
                key_file=_key_file(stack), authority=vouches, contains=json.dumps(name, ensure_ascii=False), behind=name,
            )
            for name in groups_of(stack)
        ),
    )  # fmt: skip


def makes(stack: Stack) -> tuple[MakeCertificate, ...]:
    """The certificate, for every name that this machine is called by."""
    everywhere = stack.host in WILDCARDS
    own = (stack.hostname, *stack.addresses) if everywhere else (stack.host, stack.hostname)
    given = {key: stack.settings.get(f"{NAME}.{key}", "") for key in ("certificate", "certificate_key")}
    if any(given.values()) and not all(path.startswith("/") for path in given.values()):
        raise BadInput(
            "a certificate of your own is two files, each by its whole path",
            fix="--set gateway.certificate=/etc/ssl/llm.pem --set gateway.certificate_key=/etc/ssl/llm.key",
        )
    names = tuple(dict.fromkeys(name for name in (*own, "localhost", "127.0.0.1") if name and " " not in name))
    return (
        MakeCertificate(
            folder=tls_folder(stack.place),
            names=names,
            certificate=given["certificate"],
            key=given["certificate_key"],
        ),
    )


def url(host: str, port: int) -> str:
    """Where this machine itself reaches what is published."""
    own = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared with
    return f"https://{f'[{own}]' if ':' in own and not own.startswith('[') else own}:{port}"


SERVICE = Companion(
    name=NAME,
    title="nginx, the gateway",
    containers=containers,
    files=files,
    questions=questions,
    makes=makes,
    settings=("certificate", "certificate_key"),
)
