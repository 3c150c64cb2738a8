"""People's keys: one file that is the record and nginx's configuration at once, so that neither lags behind.

The script of the gateway looks into it at each request; the limits are in force when nginx has read it again.
"""

import re
from collections.abc import Iterable
from hashlib import sha256

from provisioner.model.keys import Key

MARK = "# provision.keys/1 "
NOTE = "# Made by `provision key`, which reads it too: change nothing here."
RECORD = re.compile(r"^# ([0-9a-f]{64}) ([a-z0-9][a-z0-9._-]*) (\d+) (\d+) (\d+) (\d+)$", re.MULTILINE)


def text(keys: Iterable[Key]) -> str:
    """The whole file. Its first line tells one content from another, and the gateway shows it as what is in force."""
    body = _body(tuple(sorted(keys, key=lambda key: key.name)))
    digest = digest_of(body)
    return f'{MARK}{digest}\n{body}\nmap $host $keys_digest {{\n    default "{digest}";\n}}\n'


def digest_of(body: str) -> str:
    return sha256(body.encode()).hexdigest()[:16]


def digest(content: str) -> str:
    """What the gateway calls this file."""
    return content.partition("\n")[0].removeprefix(MARK)


def parse(content: str) -> tuple[Key, ...]:
    """The keys of a file; `ValueError` for one that is not as it was written."""
    head, _, rest = content.partition("\n")
    body = rest.partition("\nmap $host ")[0]
    if not head.startswith(MARK) or head.removeprefix(MARK) != digest_of(body):
        raise ValueError("it was changed by somebody else, or is cut off")
    return tuple(
        Key(name, hashed, int(created), int(expires) or None, int(rate), int(concurrency))
        for hashed, name, created, expires, rate, concurrency in RECORD.findall(body)
    )


def _body(keys: tuple[Key, ...]) -> str:
    # A key that may ask n times a minute gets the next turn after 60/n seconds.
    waits = {key.name: str(-(-60 // key.rate)) for key in keys if key.rate < 60}
    lines = [
        NOTE,
        *(f"# {key.sha256} {_record(key)}" for key in keys),
        *_map("$key_name", "$retry_seconds", "1", waits),
        *(line for rate in sorted({key.rate for key in keys}) for line in _rate(rate, keys)),
        *(line for most in sorted({key.concurrency for key in keys}) for line in _concurrency(most, keys)),
    ]
    return "\n".join(lines)


def _record(key: Key) -> str:
    return f"{key.name} {key.created_unix} {key.expires_unix or 0} {key.rate} {key.concurrency}"


def _rate(rate: int, keys: tuple[Key, ...]) -> list[str]:
    """A whole minute's requests may come at once; then they come back one by one."""
    burst = f" burst={rate - 1} nodelay" if rate > 1 else ""
    return [
        *_map("$key_name", f"$rate_{rate}", "", {key.name: key.name for key in keys if key.rate == rate}),
        f"limit_req_zone $rate_{rate} zone=rate_{rate}:1m rate={rate}r/m;",
        f"limit_req zone=rate_{rate}{burst};",
    ]


def _concurrency(most: int, keys: tuple[Key, ...]) -> list[str]:
    name = f"concurrency_{most}"
    return [
        *_map("$key_name", f"${name}", "", {key.name: key.name for key in keys if key.concurrency == most}),
        f"limit_conn_zone ${name} zone={name}:1m;",
        f"limit_conn {name} {most};",
    ]


def _map(source: str, target: str, default: str, entries: dict[str, str]) -> list[str]:
    return [
        f"map {source} {target} {{",
        f'    default "{default}";',
        *(f'    "{key}" "{value}";' for key, value in entries.items()),
        "}",
    ]
