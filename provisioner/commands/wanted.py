"""From the options of all planning commands to what the operator wants."""

from typing import TYPE_CHECKING

from provisioner.commands.options import Arguments

if TYPE_CHECKING:
    from provisioner.model.spec import Spec

FLAGS = (
    "profile",
    "engine",
    "target",
    "precision",
    "context",
    "concurrency",
    "weights",
    "source",
    "listen",
    "registry",
    "images",
)


def spec(arguments: Arguments) -> "Spec":
    """The deployment file, if one is named, with the flags over it."""
    from provisioner.loading import load_spec

    flags: dict[str, str | int] = {}
    for name in FLAGS:
        value = arguments.values.get(name)
        if isinstance(value, str | int):
            flags[name] = value
    if arguments.switch("no_monitoring"):
        flags["monitoring"] = "no"
    return load_spec(arguments.text("file"), flags, arguments.pairs("set"), arguments.texts("model"))
