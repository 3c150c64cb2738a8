"""Keys of people: one that was made, one that is gone, and all that there are."""

from time import gmtime, strftime

from provisioner.documents import Json
from provisioner.model.keys import Key, Published
from provisioner.views.layout import Look, count, harmless, remedy, table, wrapped


def made_view(made: Published, look: Look) -> str:
    key = made.key
    until = f", until {_day(key.expires_unix)}" if key.expires_unix else ""
    sign = look.paint(look.sign("✓", "ok"), "green")
    does = f"{key.rate} requests a minute, {count(key.concurrency, 'request')} at a time{until}"
    return "\n".join(
        [
            *wrapped(f"{sign} key {harmless(key.name)}: {does}", look.width, "", "  "),
            "",
            f"  {made.secret}",
            "",
            *wrapped("It is not kept and cannot be shown again.", look.width, "  "),
            *_force(made, look),
        ]
    )


def revoked_view(gone: Published, look: Look) -> str:
    sign = look.paint(look.sign("✓", "ok"), "green")
    words = f"{sign} key {harmless(gone.key.name)} is revoked; what is being streamed to it goes on to its end"
    return "\n".join([*wrapped(words, look.width, "", "  "), *_force(gone, look)])


def _force(change: Published, look: Look) -> list[str]:
    if change.in_force:
        return []
    return wrapped("No gateway answers now; it goes by this from its next start on.", look.width, "  ")


def list_view(keys: tuple[Key, ...], look: Look) -> str:
    if not keys:
        return "\n".join(["There are no keys yet", *remedy("provision key create NAME", look, "  ")])
    rows = [
        ("name", "made", "expires", "a minute", "at a time"),
        *(
            (harmless(key.name), _day(key.created_unix), _day(key.expires_unix), str(key.rate), str(key.concurrency))
            for key in keys
        ),
    ]
    lines = table(rows, look)
    return "\n".join([look.paint(lines[0], "dim"), *lines[1:]])


def _day(moment: int | None) -> str:
    return strftime("%Y-%m-%d", gmtime(moment)) if moment else "never"


def change_document(did: str, change: Published) -> dict[str, Json]:
    """The key itself stands in the document of its making and nowhere else."""
    return {
        "schema": "provision.key/1",
        "did": did,
        **_entry(change.key),
        "key": change.secret or None,
        "in_force": change.in_force,
    }


def list_document(keys: tuple[Key, ...]) -> dict[str, Json]:
    return {"schema": "provision.keys/1", "keys": [_entry(key) for key in keys]}


def _entry(key: Key) -> dict[str, Json]:
    return {
        "name": key.name,
        "created_unix": key.created_unix,
        "expires_unix": key.expires_unix,
        "rate": key.rate,
        "concurrency": key.concurrency,
    }
