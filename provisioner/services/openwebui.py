"""Open WebUI, the chat page: accounts, chats and a knowledge base over the engines of this stack."""

from provisioner.errors import BadInput, Refused
from provisioner.model.containers import Container, Health, Mount, Question, ReleaseFile
from provisioner.model.plugins import Companion, Stack
from provisioner.services import gateway
from provisioner.services._openwebui_environment import FIXED, KEPT, PROCESS

NAME = "openwebui"
CONTAINER = "webui"

IMAGE = "ghcr.io/open-webui/open-webui:v0.12.4"
"""The maker's own (https://docs.openwebui.com/getting-started/quick-start). It carries an embedding model, which works offline."""
LEAST = (0, 12, 4)
"""Releases before it have holes that are known: its CHANGELOG.md names security fixes at 0.12.4, and CVE-2026-44551 lets
an empty LDAP password in before 0.9.0."""

START = "if test -f start.sh; then exec bash start.sh; fi; exec open-webui serve"
"""The maker's image starts by this script, in its own folder; one that was made of the Python package has its command."""

MEMORY_BYTES = 4 * 2**30
"""Seen 1.3 GiB with the embedding model loaded; documents that are read take more for a while."""

EMBEDDING_FOLDER = "/models/embedding"
"""Where another embedding model is seen than the one in the image, which the image names itself: all-MiniLM-L6-v2
(USE_EMBEDDING_MODEL of its Dockerfile), for English."""

ADMIN = "admin@localhost"

WILDCARDS = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not listened on
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def containers(stack: Stack) -> tuple[Container, ...]:
    """One, which nobody but the gateway reaches."""
    chosen = image(stack)
    served = connections(stack)
    folder = embedding(stack)
    shown = addresses(stack)
    return (
        Container(
            name=CONTAINER,
            kind=NAME,
            image=chosen,
            argv=("/bin/sh", "-euc", _start(len(served))),
            env={
                **FIXED,
                "WEBUI_ADMIN_EMAIL": administrator(stack),
                "WEBUI_ADMIN_NAME": "Admin",
                "WEBUI_URL": shown[0] if shown else _origin(stack.hostname, stack.port),
                "CORS_ALLOW_ORIGIN": ";".join(shown) or "*",
                "OPENAI_API_BASE_URLS": ";".join(address for address, _ in served),
                **({"RAG_EMBEDDING_MODEL": EMBEDDING_FOLDER} if folder else {}),
            },
            secret_env={
                "WEBUI_SECRET_KEY": f"{stack.place.state}/secrets/webui.secret",
                "WEBUI_ADMIN_PASSWORD": f"{stack.place.state}/secrets/webui-admin.password",
                **{_key(position): key_file for position, (_, key_file) in enumerate(served)},
            },
            mounts=(
                Mount(stack.place.data(NAME), KEPT["DATA_DIR"], writable=True),
                *((Mount(folder, EMBEDDING_FOLDER),) if folder else ()),
            ),
            health=Health(
                ("curl", "--silent", "--fail", f"http://127.0.0.1:{PROCESS['PORT']}/health"), start_seconds=300
            ),
            memory_max_bytes=MEMORY_BYTES,
        ),
    )


def administrator(stack: Stack) -> str:
    named = stack.settings.get(f"{NAME}.admin", ADMIN)
    if not all(named.partition("@")) or " " in named:
        raise BadInput(
            f"{NAME}.admin: {named!r} is no address that somebody could sign in with",
            fix=f"--set {NAME}.admin=you@example.org",
        )
    return named


def image(stack: Stack) -> str:
    """The image, refused when its tag says that it is too old; of a digest nobody can tell."""
    chosen = stack.images.get(CONTAINER, IMAGE)
    tag = chosen.partition("@")[0].rpartition("/")[2].partition(":")[2]
    numbers = tag.removeprefix("v").partition("-")[0].split(".")
    if all(number.isdecimal() for number in numbers) and tuple(map(int, numbers)) < LEAST:
        least = ".".join(map(str, LEAST))
        raise Refused(
            f"Open WebUI {tag} has security holes that are known; {least} is the oldest that is started",
            fix=f"--set {CONTAINER}.image={IMAGE}, or a newer one",
        )
    return chosen


def connections(stack: Stack) -> tuple[tuple[str, str], ...]:
    """Addresses of what it asks, each with the file of its key: the gateway, or where there is none each engine.

    A model that comes or goes is the gateway's to know, so that nobody's chat ends for it; and of several engines that offer the same
    model Open WebUI asks the first alone, while the gateway spreads what it asks.
    """
    here = [one for one in stack.engines if not one.node]
    if gateway.NAME in stack.wanted:
        return ((f"http://{gateway.NAME}:{gateway.INSIDE_PORT}/v1", here[0].key_file),)
    return tuple((f"http://{one.name}:{one.port}/v1", one.key_file) for one in here)


def _key(position: int) -> str:
    return f"ENGINE_KEY_{position}"


def _start(connected: int) -> str:
    """The keys of all connections are one variable of its, and each lies in a file of its own."""
    keys = ";".join(f"${_key(position)}" for position in range(connected))
    return f'export OPENAI_API_KEYS="{keys}"; {START}'


def embedding(stack: Stack) -> str:
    """The folder of another embedding model; empty for the one in the image."""
    folder = stack.settings.get(f"{NAME}.embedding", "")
    if folder and not folder.startswith("/"):
        raise BadInput(
            f"{NAME}.embedding: {folder!r} is no folder of this machine, and nothing is downloaded for it",
            fix=f"--set {NAME}.embedding=/path/of/the/model, a folder that Sentence Transformers can load",
        )
    return folder.rstrip("/")


def addresses(stack: Stack) -> tuple[str, ...]:
    """Where browsers may come from: whoever asks from elsewhere gets no stream. Empty where all names of the host will do."""
    named = stack.settings.get(f"{NAME}.url", "")
    if named:
        return tuple(_address(one) for one in named.split(","))
    if stack.host in WILDCARDS:
        return ()
    others = LOOPBACK if stack.host in LOOPBACK else (stack.hostname,)
    return tuple(_origin(host, stack.port) for host in dict.fromkeys((stack.host, *others)))


def _origin(host: str, port: int) -> str:
    """As browsers say it: they leave the usual port out."""
    return f"https://{f'[{host}]' if ':' in host else host}{'' if port == 443 else f':{port}'}"


def _address(text: str) -> str:
    address = text.strip().rstrip("/")
    scheme, _, rest = address.partition("://")
    if scheme not in ("http", "https") or not rest or "/" in rest:
        raise BadInput(
            f"{NAME}.url: {text!r} is no address of a server", fix=f"--set {NAME}.url=https://llm.example.org:8443"
        )
    return address


def files(_stack: Stack) -> tuple[ReleaseFile, ...]:
    """None: it takes all that it is told from its environment."""
    return ()


def questions(stack: Stack) -> tuple[Question, ...]:
    """It has no port of its own: what the gateway passes on to it is asked of the gateway."""
    if gateway.NAME not in stack.wanted:
        return ()
    address = f"{gateway.url(stack.host, stack.port)}/api/config"
    return (
        Question(
            CONTAINER, "the chat page", address, authority=gateway.authority(stack.place), contains='"status":true'
        ),
    )


SERVICE = Companion(
    name=NAME,
    title="Open WebUI",
    containers=containers,
    files=files,
    questions=questions,
    settings=("admin", "url", "embedding"),
)
