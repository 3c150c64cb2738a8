"""What a new plan changes of the one in force, value by value, as far as anybody would notice."""

from collections.abc import Iterator, Mapping
from itertools import zip_longest

from provisioner.model.containers import Container
from provisioner.model.plan import Plan, Service
from provisioner.model.upgrading import Difference

Values = Mapping[str, str]


def differences(before: Plan, after: Plan) -> tuple[Difference, ...]:
    """In the order of the plan: the model, each engine, what stands beside them, their files."""
    return tuple(_between(_values(before), _values(after)))


def _between(before: Values, after: Values) -> Iterator[Difference]:
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name, ""), after.get(name, "")
        if old != new:
            yield Difference(name, old, new)


def _values(plan: Plan) -> Values:
    values = {
        "target": plan.target or "",
        "model": plan.model.id if plan.model else "",
        "precision": plan.model.precision if plan.model else "",
        "engine": plan.engine or "",
        "context": str(plan.context),
    }
    for service in plan.services:
        values |= _of_service(service)
    for container in plan.beside:
        values |= _of_container(container)
    return values | {f"file {file.path}": _mark(file.content) for file in plan.files}


def _of_service(one: Service) -> Values:
    return _named(
        one.name,
        {
            "image": one.image or "",
            "listens at": f"{one.host}:{one.port}",
            "context": str(one.context),
            "requests at once": str(one.slots),
            "devices": " ".join(one.devices),
            "processors": one.cpus or "",
            "memory limit": str(one.memory_max_bytes or ""),
            **_flags(one.argv),
            **one.env,
        },
    )


def _of_container(one: Container) -> Values:
    return _named(one.name, {"image": one.image, "command": " ".join(one.argv), **one.env})


def _named(name: str, values: Values) -> Values:
    return {f"{name}: {key}": value for key, value in values.items()}


def _flags(argv: tuple[str, ...]) -> Values:
    """A command line by its flags; a word that no flag stands before goes by its place."""
    values, place = {}, 0
    words = iter(zip_longest(argv, argv[1:], fillvalue=""))
    for word, following in words:
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            values[f"word {place}"], place = word, place + 1
        elif equals:
            values[name] = value
        elif following.startswith("-") or not following:
            values[word] = "yes"
        else:
            values[word] = following
            next(words, None)
    return values


def _mark(content: str) -> str:
    """A file's content is too long to be shown; that it differs is not."""
    from hashlib import sha256

    return f"sha256 {sha256(content.encode()).hexdigest()[:12]}"
