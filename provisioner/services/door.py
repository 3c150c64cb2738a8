"""The doors of this host to the engines: nginx again, because an engine's own port would answer more than it should.

Ollama, SGLang and Transformers know no keys; vLLM 0.32 asks for its key on some paths alone
(entrypoints/serve/middleware/authenticate.py), llama.cpp tells its models to everybody. The gateway's is a container of its own:
this one is made anew when a model comes or goes, and nobody's stream runs through it.
"""

from provisioner.model.containers import Container, Mount, Published, Question, ReleaseFile
from provisioner.model.plan import Service
from provisioner.model.plugins import Companion, Stack
from provisioner.services import gateway
from provisioner.world.templates import fill

NAME = "door"
FIRST = 9200
"""Of its ports inside, one for each engine."""
MEMORY_BYTES = 512 << 20

START = """
umask 077
key=$(cat /run/secrets/{key})
printf 'map $http_authorization $allowed {{ default ""; "Bearer %s" yes; }}\n' "$key" > /tmp/key.conf
exec nginx -e stderr -c /etc/door/nginx.conf
"""


def containers(stack: Stack) -> tuple[Container, ...]:
    """None without a gateway: whoever leaves that out publishes the engines themselves."""
    led = engines(stack)
    if gateway.NAME not in stack.wanted or not led:
        return ()
    key_file = led[0].key_file
    return (
        Container(
            name=NAME,
            kind=NAME,
            image=stack.images.get(NAME) or stack.images.get(gateway.NAME, gateway.IMAGE),
            argv=("/bin/sh", "-euc", START.format(key=key_file.rpartition("/")[2])),
            secrets=(key_file,),
            mounts=(Mount(f"@LIVE@/{NAME}", f"/etc/{NAME}"),),
            published=tuple(Published(one.host, one.port, FIRST + place, one.name) for place, one in enumerate(led)),
            memory_max_bytes=MEMORY_BYTES,
            capabilities=gateway.CAPABILITIES if stack.place.owner.startswith("0:") else (),
        ),
    )


def engines(stack: Stack) -> tuple[Service, ...]:
    return tuple(one for one in stack.engines if not one.node)


def files(stack: Stack) -> tuple[ReleaseFile, ...]:
    if not containers(stack):
        return ()
    led = [
        {"inside": FIRST + place, "name": one.name, "port": one.port, "health": one.health_path}
        for place, one in enumerate(engines(stack))
    ]
    text = fill(
        "door/nginx.conf.j2",
        user=["root"] if stack.place.owner.startswith("0:") else [],
        body_megabytes=gateway.BODY_MEGABYTES,
        read_seconds=max(gateway.LEAST_READ_SECONDS, *(4 * one.first_token_seconds for one in stack.engines)),
        engines=led,
    )
    return (ReleaseFile(f"{NAME}/nginx.conf", text),)


def questions(_stack: Stack) -> tuple[Question, ...]:
    """None: each engine is asked through it."""
    return ()


SERVICE = Companion(
    name=NAME, title="the doors of this host to the engines", containers=containers, files=files, questions=questions
)
