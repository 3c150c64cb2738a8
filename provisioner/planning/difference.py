"""What a new plan changes of the one in force, value by value, as far as anybody would notice."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest

from provisioner.model.plan import Plan, Service
from provisioner.model.upgrading import Difference
from provisioner.planning.several.merged import apart

Values = Mapping[str, str]
Parts = Mapping[str, tuple[str, Values]]
"""By its name what each is, in a few words, and all that can be said of it."""
ABSENT: tuple[str, Values] = ("", {})


def differences(before: Plan, after: Plan) -> tuple[Difference, ...]:
    """In the order of the plan: the models, each engine, what stands beside them, their files."""
    return (
        *_between(_outline(before), _outline(after)),
        *_changed(_services(before), _services(after)),
        *_changed(_containers(before), _containers(after)),
        *_between(_files(before), _files(after)),
    )


def _between(before: Values, after: Values) -> Iterator[Difference]:
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name, ""), after.get(name, "")
        if old != new:
            yield Difference(name, old, new)


def _changed(before: Parts, after: Parts) -> Iterator[Difference]:
    """One that comes or goes is one difference; of one that stays, each of its values may be."""
    for name in dict.fromkeys((*before, *after)):
        (old, was), (new, now) = before.get(name, ABSENT), after.get(name, ABSENT)
        yield from _between(_named(name, was), _named(name, now)) if old and new else (Difference(name, old, new),)


def _named(name: str, values: Values) -> Values:
    return {f"{name}: {key}": value for key, value in values.items()}


def _outline(plan: Plan) -> Values:
    models = plan.chosen
    return {
        "target": plan.target or "",
        "model": _each(one.id for one in models),
        "precision": _each(one.precision for one in models),
        "engine": _each(part.engine or "" for part in apart(plan)),
        "context": _each(str(part.context) for part in apart(plan)),
    }


def _each(values: Iterable[str]) -> str:
    """Of several models, in their order; what they share is told once."""
    return ", ".join(dict.fromkeys(values))


def _services(plan: Plan) -> Parts:
    return {
        one.name: (f"{one.model_name} on {one.engine} at {one.host}:{one.port}", _of_service(one))
        for one in plan.services
    }


def _of_service(one: Service) -> Values:
    return {
        "image": one.image or "",
        "listens at": f"{one.host}:{one.port}",
        "context": str(one.context),
        "requests at once": str(one.slots),
        "devices": " ".join(one.devices),
        "processors": one.cpus or "",
        "memory limit": str(one.memory_max_bytes or ""),
        **_flags(one.argv),
        **one.env,
    }


def _containers(plan: Plan) -> Parts:
    return {
        one.name: (one.image, {"image": one.image, "command": " ".join(one.argv), **one.env}) for one in plan.beside
    }


def _files(plan: Plan) -> Values:
    return {f"file {file.path}": _mark(file.content) for file in plan.files}


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
