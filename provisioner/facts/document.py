"""The machine as a JSON document (`provision.facts/1`), and back."""

from collections.abc import Iterator, Mapping
from typing import cast

from provisioner.documents import Json, decode, encode
from provisioner.errors import BadInput
from provisioner.model.facts import Accelerator, HostFacts, Unknown

SCHEMA = "provision.facts/1"
FIX = "use the output of `provision detect --json`, made by this release"


def facts_document(facts: HostFacts) -> dict[str, Json]:
    """Every fact under its name. One that is not known is null, and `unknown` holds the reason why."""
    body = cast("dict[str, Json]", encode(facts))
    body["accelerators"] = [encode(each) for known in facts.accelerators.values() for each in _known(known)]
    body["vendors"] = [*sorted(facts.accelerators)]
    body["topology"] = {"links": [*_links(facts)]}
    unknown = [*_unknown_vendors(facts), *_without_unknown(body, "")]
    return {"schema": SCHEMA, **body, "unknown": cast("Json", sorted(unknown, key=lambda each: each["fact"]))}


def _known(accelerators: tuple[Accelerator, ...] | Unknown) -> tuple[Accelerator, ...]:
    return () if isinstance(accelerators, Unknown) else accelerators


def _unknown_vendors(facts: HostFacts) -> Iterator[dict[str, str]]:
    for vendor, known in facts.accelerators.items():
        if isinstance(known, Unknown):
            yield {"fact": f"accelerators.{vendor}", "reason": known.reason}


def _links(facts: HostFacts) -> Iterator[Json]:
    """Each way between two accelerators, once from either side: what a planner asks of the whole machine."""
    for known in facts.accelerators.values():
        for each in _known(known):
            for link in each.links:
                yield {"vendor": each.vendor, "from": each.index, **cast("dict[str, Json]", encode(link))}


def _without_unknown(value: Json, place: str) -> Iterator[dict[str, str]]:
    """Replace every `{"unknown": reason}` by null, and tell where it stood."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in [*entries]:
        where = f"{place}.{key}" if place else str(key)
        if isinstance(item, dict) and set(item) == {"unknown"}:
            yield {"fact": where, "reason": str(item["unknown"])}
            value[key] = None  # type: ignore[index]  # The key came from this very value.
        else:
            yield from _without_unknown(item, where)


def facts_from_document(document: object) -> HostFacts:
    """The facts that `facts_document` made this from; `BadInput` names the field that does not fit."""
    if not isinstance(document, dict):
        raise BadInput(f"hardware: expected a JSON object, found {type(document).__name__}", fix=FIX)
    if document.get("schema") != SCHEMA:
        raise BadInput(f"hardware: schema is {document.get('schema')!r}, expected {SCHEMA!r}", fix=FIX)
    try:
        return _facts(document)
    except (ValueError, KeyError, TypeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise BadInput(f"hardware: {reason}", fix=FIX) from None


def _facts(document: Mapping[str, object]) -> HostFacts:
    unknown = _reasons(document["unknown"])
    body = {
        key: _with_unknown(value, key, unknown)
        for key, value in document.items()
        if key not in ("schema", "unknown", "topology", "vendors")
    }
    body["accelerators"] = _by_vendor(body["accelerators"], document["vendors"], unknown)
    if unknown:
        raise ValueError(f"unknown: {min(unknown)!r} is not a fact of this document that is null")
    return cast("HostFacts", decode(HostFacts, body, "hardware"))


def _reasons(listed: object) -> dict[str, str]:
    if not isinstance(listed, list):
        raise ValueError("unknown: expected a list")
    reasons = {}
    for each in listed:
        if not isinstance(each, dict) or set(each) != {"fact", "reason"}:
            raise ValueError("unknown: each entry has `fact` and `reason`")
        reasons[str(each["fact"])] = str(each["reason"])
    return reasons


def _with_unknown(value: object, where: str, reasons: dict[str, str]) -> object:
    """The same with the reasons back in their places; a reason that is used is taken out of the list."""
    if value is None and where in reasons:
        return {"unknown": reasons.pop(where)}
    if isinstance(value, dict):
        return {key: _with_unknown(item, f"{where}.{key}", reasons) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_unknown(item, f"{where}.{index}", reasons) for index, item in enumerate(value)]
    return value


def _by_vendor(listed: object, vendors: object, reasons: dict[str, str]) -> dict[str, object]:
    if not isinstance(listed, list) or not isinstance(vendors, list):
        raise ValueError("accelerators and vendors: expected lists")
    found: dict[str, object] = {}
    for vendor in map(str, vendors):
        reason = reasons.pop(f"accelerators.{vendor}", None)
        mine = [each for each in listed if isinstance(each, dict) and each.get("vendor") == vendor]
        found[vendor] = {"unknown": reason} if reason is not None else mine
    strangers = [each for each in listed if not isinstance(each, dict) or each.get("vendor") not in vendors]
    if strangers:
        raise ValueError("accelerators: an entry whose vendor is not in `vendors`")
    return found
