"""LM Studio's headless daemon: llama.cpp's arithmetic, models side-loaded by links and loaded one by one with `lms`, one server for all.

Its daemon is closed and was not to be had: layout and words are those of its documentation (lmstudio-ai/docs@c6854fb) and of the
source of `lms` (lmstudio-ai/lms@07b7252), and nobody ran it here.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from provisioner.model.facts import DARWIN
from provisioner.model.plan import Loaded, Service
from provisioner.model.plugins import Engine

if TYPE_CHECKING:
    from provisioner.model.causes import Cause

OPTIONS = ("gpu",)
"""How much of a model lies on cards: `off`, `max`, or a part of 1 (docs: cli/local-models/load)."""

PUBLISHER = "provision"
"""`models/<publisher>/<model>/<file>.gguf` of its folder is what it lists (docs: app/advanced/import-model)."""

FOLDER = ".lmstudio"
"""In the home of whoever runs it: programs, models and settings."""

PROGRAM = f"{FOLDER}/bin/lms"
INSTALL = "curl -fsSL https://lmstudio.ai/install.sh | bash   (as the user whose services these are; docs: developer/core/headless_llmster)"

START_SECONDS = 120
"""Its daemon, which may bring itself up to date first, and its server (an assumption: nobody measured it here)."""

START = r"""
exec < /dev/null
host=$1 port=$2
shift 2
: "${HOME:=$(getent passwd "$(id -u)" | cut -d: -f6)}"
export HOME
lms=$HOME/.lmstudio/bin/lms
models=$HOME/.lmstudio/models/provision
stop() {
  trap '' TERM INT
  "$lms" server stop || true
  "$lms" daemon down || "$lms" unload --all
  exit 0
}
fail() { echo "lmstudio: error: $1" >&2; "$lms" daemon down || true; exit 1; }
step() { "$lms" "$@" & wait $! || fail "\`lms $*\` failed"; }
trap stop TERM INT
[ -x "$lms" ] || { echo "lmstudio: error: $lms is not there: LM Studio is not installed for this user" >&2; exit 1; }
step daemon up
pid=$("$lms" daemon status --json | sed -n 's/.*"pid": *\([0-9][0-9]*\).*/\1/p')
[ -n "$pid" ] || fail "\`lms daemon status\` names no process"
while [ $# -gt 0 ]; do
  name=$1 path=$2 context=$3 parallel=$4 gpu=$5
  shift 5
  mkdir -p "$models/$name"
  ln -sfn "$path" "$models/$name/${path##*/}"
  "$lms" unload "$name" >/dev/null 2>&1 || true
  step load --exact "provision/$name/${path##*/}" --yes --identifier "$name" --context-length "$context" --parallel "$parallel" --gpu "$gpu"
done
step server start --port "$port" --bind "$host"
while kill -0 "$pid" 2>/dev/null; do sleep 1 & wait $!; done
echo "lmstudio: error: its daemon (process $pid) has ended" >&2
exit 1
"""
"""The daemon, each model under its own name, then the server; it stays as long as the daemon does, and takes it down when told to stop.

The weights are links, so nothing is copied, and a file is loaded by its exact place: `lms load` takes the nearest name otherwise
(src/subcommands/load.ts). A model without `--ttl` stays loaded (docs: developer/core/ttl-and-auto-evict). Steps are waited for in the
background, because a shell hears no signal while a program runs before it, and a large model loads for minutes.
"""


def command(service: Service) -> list[str]:
    """Where the server listens; then of each model its name, its file, its context, how many requests at a time, how much is on cards."""
    return [service.host, str(service.port), *(word for one in _models(service) for word in one)]


def _models(service: Service) -> Iterator[tuple[str, ...]]:
    """The cache is one for all requests, so the context is that of all of them together."""
    first = Loaded(service.model_name, service.model_path, service.context, service.slots, service.options)
    for one in (first, *service.further):
        on_cards = one.options.get("gpu", "off")
        yield one.model_name, one.model_path, str(one.context * one.slots), str(one.slots), on_cards


def environment(_service: Service) -> Mapping[str, str]:
    return {"DO_NOT_TRACK": "1"}


def causes() -> "tuple[Cause, ...]":
    from provisioner.engines import _causes_lmstudio

    return _causes_lmstudio.CAUSES


ENGINE = Engine(
    name="lmstudio",
    title="LM Studio",
    formats=("gguf",),
    tasks=("chat", "embed"),
    command=command,
    environment=environment,
    health_path="/v1/models",
    context_path="",
    context_field=(),
    options=OPTIONS,
    program=("/bin/sh", "-euc", START, "lmstudio"),
    keyless=True,
    one_file=True,
    one_server=True,
    start_seconds=START_SECONDS,
    home=(FOLDER,),
    installed_at=PROGRAM,
    install=INSTALL,
    targets=("systemd", "process"),
    systems=(DARWIN,),
    vendors=("nvidia", "amd", "apple"),
    causes=causes,
)
