"""`provision clients`: ready settings for the programs that people use."""

from provisioner.commands.options import Arguments, Command, Example, Option
from provisioner.console import Screen
from provisioner.errors import BadInput

NAMES = ("python", "javascript", "curl", "chatbox", "cherry-studio", "page-assist", "continue", "vscode")


def run(arguments: Arguments, screen: Screen) -> int:
    from provisioner.phases import clients
    from provisioner.planning.entrance import base_url, behind, entrance
    from provisioner.views.clients import Access, clients_document, clients_view
    from provisioner.workflows import place_of

    name = arguments.text("name")
    if name is not None and name not in NAMES:
        raise BadInput(f"`{name}` is no client that is known here", fix=f"one of: {', '.join(NAMES)}")
    place = place_of(arguments.state_dir)
    plan = clients.plan_in_force(place)
    key_name, key_file = arguments.text("key_name"), arguments.text("key_file")
    if key_name:
        clients.insist_on_key(place, key_name)
    found = entrance(plan)
    if found is None:
        raise BadInput("the release in force serves nothing here", fix="provision status")
    here, others = behind(found, plan)
    elsewhere = tuple((one.model_name, base_url(one, plan.hostname)) for one in others)
    access = Access(found, here, clients.key_given(key_file) if key_file else "", key_name or "", elsewhere)
    names = (name,) if name else NAMES
    if screen.json:
        screen.document(clients_document(names, access))
    else:
        screen.show(clients_view(names, access, screen.look))
    return 0


COMMAND = Command(
    description=(
        "Show the settings that clients take: address, models, the certificate that they have to trust, in the format of each, "
        "with the link that fills them in where a client has such. A key is never read from where it lies: it stands in them "
        "only when it is handed over."
    ),
    examples=(
        Example("provision clients", "all of them"),
        Example("provision clients continue", "one of them"),
        Example("provision clients chatbox --key-file -", "with the key that is typed or piped in, for the link"),
    ),
    options=(
        Option("NAME", f"one client: {', '.join(NAMES)}", suggestions=NAMES),
        Option("--key-name", "whose key it is meant for, one of `provision key list`", "NAME"),
        Option("--key-file", "a file that holds the key, or - for standard input", "FILE|-", suggestions=("<file>",)),
    ),
    run=run,
)
