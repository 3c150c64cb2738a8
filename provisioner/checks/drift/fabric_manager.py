"""Cards behind NVSwitch compute only while the fabric manager runs, in the very version of the driver (CUDA's error 802)."""

from collections.abc import Iterator

from provisioner.checks.drift._nvidia import loaded_driver, packages
from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

NAME = "fabric_manager"
PROCESS = "nv-fabricmanager"[:15]
"""The kernel keeps fifteen letters of a name."""
PACKAGE = "nvidia-fabricmanager"


def run(view: View) -> Iterator[Finding]:
    if view.upkeep is None or isinstance(view.upkeep.switches, Unknown) or not view.upkeep.switches:
        return
    loaded, switches = loaded_driver(view), view.upkeep.switches
    installed = [package for name, package in packages(view).items() if name.startswith(PACKAGE)]
    fix = "`systemctl enable --now nvidia-fabricmanager`"
    if not installed and loaded:
        fix = f"`apt-get install {PACKAGE}-{loaded.partition('.')[0]}={loaded}*`, then {fix}"
    if not isinstance(view.upkeep.programs, Unknown) and PROCESS not in view.upkeep.programs:
        told = f"{switches} NVSwitches are there, and the fabric manager does not run: no program can use the cards"
        yield Finding(NAME, "error", told, fix=fix)
    for package in installed:
        if loaded and package.upstream != loaded:
            told = f"the fabric manager is {package.upstream}, and driver {loaded} is loaded: it does not start with another's"
            again = f"`apt-get install {package.name}={loaded}*`, then `systemctl restart nvidia-fabricmanager`"
            yield Finding(NAME, "error", told, fix=again)


CHECK = Check(name=NAME, stage="drift", run=run)
