"""Files of the Container Device Interface: which devices they describe, and for which driver they were made."""

import re
from collections.abc import Iterator

from provisioner.model.facts import Answers, Fact, ReadFiles, Unknown
from provisioner.model.upkeep import DeviceInterface

FILES = ("/etc/cdi/*", "/var/run/cdi/*")
KIND = re.compile(r'^\s*"?kind"?:\s*"?([\w.-]+/[\w.-]+)"?,?\s*$', re.MULTILINE)
NAME = re.compile(r'^\s*(?:-\s*)?"?name"?:\s*"?([^"\s,]+)"?,?\s*$', re.MULTILINE)
"""Only devices have a `name` there: hooks have a `hookName`."""
LIBRARY = re.compile(r"libcuda\.so\.(\d+(?:\.\d+)+)")


def parse(answers: Answers) -> tuple[DeviceInterface, ...]:
    """YAML and JSON alike, one key to a line, as every program that makes them writes them."""
    return tuple(_read(answers))


def _read(answers: Answers) -> Iterator[DeviceInterface]:
    for path, text in sorted(answers.items()):
        kind = KIND.search(text) if not isinstance(text, Unknown) and path.endswith((".yaml", ".json")) else None
        if kind is not None and not isinstance(text, Unknown):
            drivers = tuple(sorted(set(LIBRARY.findall(text))))
            yield DeviceInterface(path, kind[1], tuple(dict.fromkeys(NAME.findall(text))), drivers)


FACT: Fact[tuple[DeviceInterface, ...]] = Fact("device_interfaces", ReadFiles(FILES), parse, absent=())
