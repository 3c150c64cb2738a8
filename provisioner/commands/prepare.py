"""`provision prepare`: give this host what the plan stands on."""

from provisioner.commands.options import DOCKER_FROM, WANTED, Arguments, Command, Example, Option
from provisioner.console import Screen
from provisioner.errors import BadInput

FIX_RANGE = "an address or a range, such as 10.20.0.0/16"


def run(arguments: Arguments, screen: Screen) -> int:
    from provisioner.commands.wanted import spec
    from provisioner.model.host import HostWish
    from provisioner.workflows import host

    wish = HostWish(
        docker_from=arguments.one_of(DOCKER_FROM),
        allow=tuple(_range(each) for each in arguments.texts("allow")),
        ports=tuple(_port(each) for each in arguments.texts("port")),
        time_servers=tuple(_server(each) for each in arguments.texts("time_server")),
    )
    with screen.progress() as progress:
        prepared = host.prepare(spec(arguments), wish, arguments.state_dir, arguments.switch("check"), progress)
    if screen.json:
        from provisioner.views.prepare import prepared_document

        screen.document(prepared_document(prepared))
    else:
        from provisioner.views.prepare import prepare_view

        screen.show(prepare_view(prepared, screen.look))
    return 3 if any(finding.level == "error" for finding in prepared.findings) else 0


def _range(text: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError:
        raise BadInput(f"`--allow {text}` is no address", fix=FIX_RANGE) from None


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise BadInput(f"`--port {text}` is no port", fix="a number from 1 to 65535")
    return int(text)


def _server(text: str) -> str:
    """The name goes into a configuration file: letters, digits, dots, dashes and colons, and nothing that could end a line."""
    if not text or not all(letter.isascii() and (letter.isalnum() or letter in ".-:") for letter in text):
        raise BadInput(f"`--time-server {text}` is no name of a host", fix="such as ntp.example.edu")
    return text


COMMAND = Command(
    description="Install and set what the plan for this host stands on, with Ansible playbooks that take every value from the plan: the container "
    "engine, NVIDIA's driver and container toolkit with device interface files, firmware for AMD's cards, persistence mode, driver packages on "
    "hold, settings of the kernel, the time service, a firewall for published ports. Run again, it changes nothing. It ends rounds where facts "
    "change, and reads them anew. Needs root, Debian or Ubuntu, and the extra `host` of this package.",
    examples=(
        Example("provision prepare --check", "the very tasks that would change something; nothing is changed"),
        Example("provision prepare --target docker", "Docker Engine, and what its containers need for the cards"),
        Example("provision prepare --port 443 --allow 10.20.0.0/16", "the port for these addresses alone"),
    ),
    options=(
        Option("--check", "show the tasks that would change something, and change nothing", kind="switch"),
        DOCKER_FROM,
        Option("--allow", "addresses that reach the published ports; may be repeated", "RANGE", kind="repeat"),
        Option("--port", "a published port besides those of the plan; may be repeated", "N", kind="repeat"),
        Option("--time-server", "a server of this site's own time; may be repeated", "HOST", kind="repeat"),
        *WANTED,
    ),
    run=run,
)
