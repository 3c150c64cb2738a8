"""Where services listen, as people write it: `HOST`, `HOST:PORT`, `:PORT`, `[::1]:PORT`."""

import re
from collections.abc import Callable

from provisioner.errors import BadInput
from provisioner.planning.asked.amounts import whole_number

LOOPBACK = ("127.0.0.1", "::1", "localhost")
PORT = 8000
GATEWAY_PORT = 8443
LAST_PORT = 65535


def parsed(key: str, text: str, parse: Callable[[str], int], example: int) -> int:
    try:
        return parse(text)
    except ValueError as error:
        raise BadInput(f"{key}: {error}", fix=f"`--set {key}={example}`, for example") from None


def listening(listen: str | None) -> tuple[str, int | None]:
    """Host and port of `HOST`, `HOST:PORT`, `:PORT` or `[::1]:PORT`; only loopback until there is a gateway."""
    text = (listen or "").strip()
    host, port = _split(text)
    host = host or LOOPBACK[0]
    if host not in LOOPBACK and not _is_loopback(host):
        raise BadInput(
            f"--listen {text}: an engine listens on loopback only; a gateway with keys and TLS is needed for others",
            fix="leave --listen out, and reach it through `ssh -L 8000:127.0.0.1:8000 HOST`",
        )
    return host, parsed("port", port, whole_number, PORT) if port else None


def published_at(listen: str | None) -> tuple[str, int]:
    """Where the gateway is published, with keys and TLS: at any address of the machine."""
    host, port = _split((listen or "").strip())
    if host == "localhost":
        host = LOOPBACK[0]
    if host and not re.fullmatch(r"[0-9A-Fa-f.:]+", host):
        raise BadInput(f"--listen {listen}: `{host}` is no address of a machine", fix="`--listen 192.168.1.20:8443`")
    return host or LOOPBACK[0], port_of(parsed("port", port, whole_number, GATEWAY_PORT) if port else GATEWAY_PORT)


def _is_loopback(host: str) -> bool:
    parts = host.split(".")
    small = [part for part in parts if part.isascii() and part.isdigit() and len(part) <= 3 and int(part) <= 255]
    return parts[0] == "127" and len(parts) == len(small) == 4


def _split(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest.removeprefix(":")
    if text.count(":") > 1:
        return text, ""
    host, _, port = text.partition(":")
    return host, port


def port_of(port: int) -> int:
    if not 1 <= port <= LAST_PORT:
        raise BadInput(
            f"port {port} does not exist", fix=f"a port from 1 to {LAST_PORT}, above 1023 unless you are root"
        )
    return port
