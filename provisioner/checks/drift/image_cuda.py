"""The driver runs the CUDA that the images of the release were built with."""

from collections.abc import Iterator, Mapping

from provisioner.checks.drift._nvidia import loaded_driver
from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View
from provisioner.model.upkeep import ImageNeed, version_number

NAME = "image_cuda"
FIX = "a newer driver, or an older image: `provision plan` chooses one for the driver that is loaded"
COMPARED = (">=", "<=", "=", "<", ">")


def run(view: View) -> Iterator[Finding]:
    cuda, driver = view.facts.software.cuda, loaded_driver(view)
    if view.upkeep is None or isinstance(view.upkeep.images, Unknown) or not isinstance(cuda, str) or driver is None:
        return
    for image, need in view.upkeep.images.items():
        level = _level(need, {"cuda": cuda, "driver": driver})
        if level:
            wanted = f"CUDA {need.cuda}" if need.cuda else f"`{need.requires}`"
            yield Finding(NAME, level, f"{image} wants {wanted}, and driver {driver} runs CUDA {cuda}", fix=FIX)


def _level(need: ImageNeed, has: Mapping[str, str]) -> str:
    """The condition in the image is what NVIDIA's toolkit asks at each start; its parts by blanks are alternatives.

    One that holds for some kinds of cards alone leaves a doubt. Without a condition, CUDA of one major version runs on
    each driver of it (https://docs.nvidia.com/deploy/cuda-compatibility), but what is compiled at run time may not.
    """
    if need.requires:
        fitting = [option for option in need.requires.split() if _holds(option, has)]
        return "" if any("brand" not in option for option in fitting) else "warning" if fitting else "error"
    wanted, there = version_number(need.cuda or ""), version_number(has["cuda"])
    if wanted[:2] <= there[:2]:
        return ""
    return "error" if wanted[:1] > there[:1] else "warning"


def _holds(option: str, has: Mapping[str, str]) -> bool:
    return all(_condition(part, has) for part in option.split(","))


def _condition(part: str, has: Mapping[str, str]) -> bool:
    """`cuda>=12.4`, `driver<536`; of a `brand` nothing is known here, so it is taken to be met."""
    sign = next((sign for sign in COMPARED if sign in part), "")
    name, _, value = part.partition(sign) if sign else (part, "", "")
    if name not in has:
        return True
    there, wanted = version_number(has[name]), version_number(value)
    there = there[: len(wanted)]
    return {">=": there >= wanted, "<=": there <= wanted, "=": there == wanted, "<": there < wanted, ">": there > wanted}[sign]  # fmt: skip


CHECK = Check(name=NAME, stage="drift", run=run)
