"""`provision key`: keys of people for the gateway."""

from provisioner.commands.options import Arguments, Command, Example, Option
from provisioner.console import Screen
from provisioner.errors import BadInput

ACTIONS = ("create", "list", "revoke")


def run(arguments: Arguments, screen: Screen) -> int:
    from provisioner.phases import keys
    from provisioner.views import keys as views
    from provisioner.workflows import place_of

    action, name = _asked(arguments)
    place = place_of(arguments.state_dir)
    if action == "list":
        found = keys.listed(place)
        _tell(screen, views.list_view(found, screen.look), views.list_document(found))
    elif action == "create":
        limits = (arguments.number("rate"), arguments.number("concurrency"), arguments.number("expires"))
        made = keys.create(place, name, *limits)
        _tell(screen, views.made_view(made, screen.look), views.change_document(action, made))
    else:
        gone = keys.revoke(place, name)
        _tell(screen, views.revoked_view(gone, screen.look), views.change_document(action, gone))
    return 0


def _asked(arguments: Arguments) -> tuple[str, str]:
    """What is to be done, and to whose key."""
    action, name = arguments.text("action"), arguments.text("name")
    if action not in ACTIONS:
        said = f"`{action}` is nothing that is done with keys" if action else "say what is to be done with keys"
        raise BadInput(said, fix="`provision key list`, `provision key create NAME`, `provision key revoke NAME`")
    if action != "list" and not name:
        raise BadInput(f"`provision key {action}` needs a name", fix=f"`provision key {action} alice`")
    if action == "list" and name:
        raise BadInput(f"`provision key list` does not expect `{name}`", fix="`provision key list`")
    given = [each for each in ("rate", "concurrency", "expires") if arguments.number(each) is not None]
    if action != "create" and given:
        raise BadInput(
            f"`--{given[0]}` belongs to a key that is made", fix="limits are changed by a new key: revoke, then create"
        )
    return action, name or ""


def _tell(screen: Screen, text: str, document: object) -> None:
    if screen.json:
        screen.document(document)
    else:
        screen.show(text)


COMMAND = Command(
    description=(
        "Make, list and take back the keys that the gateway lets people in with. A key is shown once, when it is made, and "
        "kept as a hash. A change is in force within a second, and no answer that is being streamed is cut off."
    ),
    examples=(
        Example("provision key create alice", "shows the key, once"),
        Example("provision key create nightly-batch --rate 600 --concurrency 64 --expires 90", "for a program"),
        Example("provision key revoke alice", "from the next request on it opens nothing"),
    ),
    options=(
        Option("ACTION", "create, list or revoke", suggestions=ACTIONS),
        Option("NAME", "whose key it is; the gateway's log names it"),
        Option("--rate", "requests that it may send in a minute; 120 unless given", "N", kind="number"),
        Option("--concurrency", "requests that it may have open at a time; 8 unless given", "N", kind="number"),
        Option("--expires", "days that it lasts; for ever unless given", "DAYS", kind="number"),
    ),
    run=run,
)
