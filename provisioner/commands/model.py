"""`provision model`: the weights in the store."""

from typing import TYPE_CHECKING

from provisioner.commands.options import WAIT, Arguments, Command, Example, Option
from provisioner.console import Screen
from provisioner.errors import BadInput

if TYPE_CHECKING:
    from provisioner.model.spec import Spec

ACTIONS = ("list", "add", "verify", "remove")
ADDING = ("precision", "format", "source", "weights")


def run(arguments: Arguments, screen: Screen) -> int:
    from provisioner.phases import models
    from provisioner.views import models as views
    from provisioner.workflows import place_of

    action, name = _asked(arguments)
    place, wait = place_of(arguments.state_dir), arguments.number("wait") or 0
    names = (name,) if name else ()
    if action == "list":
        held = models.listed(place)
        _tell(screen, views.list_view(held, screen.look), views.list_document(held))
        return 0
    with screen.progress() as progress:
        if action == "verify":
            verified = models.verify(names, place, progress)
        elif action == "add":
            moved = models.add(_spec(arguments, name), arguments.text("format"), place, progress, wait)
        else:
            moved = models.remove(names, place, progress, wait, unused=arguments.switch("unused"))
    if action == "verify":
        _tell(screen, views.verified_view(verified, screen.look), views.verified_document(verified))
        return 1 if verified.damaged else 0
    _tell(screen, views.moved_view(moved, screen.look), views.moved_document(moved))
    return 0


def _asked(arguments: Arguments) -> tuple[str, str]:
    """What is to be done, and with which model."""
    action, name = arguments.text("action"), arguments.text("name") or ""
    if action not in ACTIONS:
        said = f"`{action}` is nothing that is done with models" if action else "say what is to be done with models"
        raise BadInput(said, fix="`provision model list`, `provision model add NAME`, `verify` or `remove`")
    if action == "list" and name:
        raise BadInput(f"`provision model list` does not expect `{name}`", fix="`provision model list`")
    unused = arguments.switch("unused")
    if action == "remove" and bool(name) == unused:
        raise BadInput(
            "name one model, or give `--unused` for all that no kept release needs",
            fix="`provision model remove qwen3-8b`, or `provision model remove --unused`",
        )
    if action == "add" and not name:
        raise BadInput("`provision model add` needs a name", fix="`provision model add qwen3-8b --precision q4_k_m`")
    given = [each for each in ADDING if action != "add" and arguments.text(each)]
    if given or (unused and action != "remove"):
        wrong = given[0] if given else "unused"
        raise BadInput(f"`--{wrong}` says nothing to `provision model {action}`", fix="`provision model --help`")
    return action, name


def _spec(arguments: Arguments, name: str) -> "Spec":
    from provisioner.loading import load_spec

    kind = arguments.text("format")
    if kind not in (None, "gguf", "safetensors"):
        raise BadInput(f"`{kind}` is no format of weights that is known here", fix="--format gguf or safetensors")
    flags: dict[str, str | int] = {
        key: value for key in ("precision", "source", "weights") for value in (arguments.text(key),) if value
    }
    return load_spec(None, flags, {}, (name,))


def _tell(screen: Screen, text: str, document: object) -> None:
    if screen.json:
        screen.document(document)
    else:
        screen.show(text)


COMMAND = Command(
    description=(
        "See, bring, verify and remove the weights in the store. A model is brought without starting anything: of the catalog, of "
        "a hub's repository, or from a file or folder of this machine, which is linked and not copied. What a kept release needs "
        "is never removed."
    ),
    examples=(
        Example("provision model list", "what is there, what it takes on disk, and which releases need it"),
        Example("provision model add qwen3-8b --precision q4_k_m", "one of the catalog"),
        Example("provision model add /data/Qwen3-8B", "a folder of config.json and safetensors, or a GGUF file"),
        Example("provision model verify", "reads every byte again; ends with 1 when something is damaged"),
        Example("provision model remove --unused", "all that no kept release needs"),
    ),
    options=(
        Option("ACTION", "list, add, verify or remove", suggestions=ACTIONS),
        Option(
            "NAME", "an id, `owner/name` at a hub or a path; to remove, as `list` names it", suggestions=("<file>",)
        ),
        Option("--precision", "which of the precisions that it is published in", "NAME"),
        Option(
            "--format",
            "gguf or safetensors, where it is published in both",
            "NAME",
            suggestions=("gguf", "safetensors"),
        ),
        Option("--source", "where weights are downloaded from", "NAME|URL", suggestions=("huggingface", "modelscope")),
        Option("--weights", "a folder, or a disk, where weights already are", "DIR", suggestions=("<folder>",)),
        Option("--unused", "remove every model that no kept release needs", kind="switch"),
        WAIT,
    ),
    run=run,
)
