"""`provision detect`: what this machine is."""

from typing import TYPE_CHECKING, cast

from provisioner.commands.options import Arguments, Command, Example, Option
from provisioner.console import Screen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provisioner.model.facts import HostFacts, Machine
    from provisioner.model.plan import Finding
    from provisioner.model.plugins import Vendor


def run(arguments: Arguments, screen: Screen) -> int:
    facts = _facts(arguments.text("sysroot"), arguments.text("record"))
    if screen.json:
        from provisioner.facts.document import facts_document

        screen.document(facts_document(facts))
    else:
        from provisioner.views.machine import machine_view
        from provisioner.views.plan import finding_lines

        parts = (machine_view(facts, screen.look), "\n".join(finding_lines(tuple(_findings(facts)), screen.look)))
        screen.show("\n\n".join(part for part in parts if part))
    return 0


def _findings(facts: "HostFacts") -> "Iterator[Finding]":
    """What is wrong with the accelerators; the checks are those of a plan, and none is needed for them."""
    from provisioner.checks import device_health, driver_present, persistence_mode
    from provisioner.model.plan import Parallel, Plan
    from provisioner.model.plugins import View

    nothing = Plan("", "", "", None, None, None, Parallel(), 0, None, None, (), (), "", (), ())
    for check in (driver_present.CHECK, device_health.CHECK, persistence_mode.CHECK):
        yield from check.run(View(nothing, facts, None, {}, ""))


def _facts(sysroot: str | None, record: str | None) -> "HostFacts":
    """This machine's facts or another one's; what is recorded is also what is shown."""
    from provisioner.catalog import scan
    from provisioner.phases.gather import gather
    from provisioner.world.machine import RecordedMachine, ThisMachine

    vendors = cast("Mapping[str, Vendor]", scan("provisioner.accelerators", "VENDOR"))
    machine: Machine = ThisMachine() if sysroot is None else RecordedMachine(sysroot)
    if record is None:
        return gather(machine, vendors)
    from provisioner.world.recorder import Recorder, insist_on_room

    insist_on_room(record)
    recorder = Recorder(machine)
    facts = gather(recorder, vendors)
    recorder.write(record)
    return facts


COMMAND = Command(
    description="Read the machine: processors, NUMA nodes, memory, limits, disks, network, accelerators with or without a driver, software. "
    "Nothing is changed. Another program is started only where a device of its maker's is seen: amd-smi, npu-smi, hy-smi, xpu-smi, mx-smi; "
    "and on a Mac, which has no files for it: sysctl, vm_stat, sw_vers, df, mount, ifconfig, networksetup, system_profiler. "
    "What cannot be read is reported as unknown, with the reason.",
    examples=(
        Example("provision detect", "a table"),
        Example("provision detect --json > server.json", "for `provision plan --hardware server.json` elsewhere"),
        Example("provision detect --record server", "what was read, scrubbed, to report or to test with"),
    ),
    options=(
        Option("--sysroot", "read another machine's /proc and /sys, or a recording", "DIR", suggestions=("<folder>",)),
        Option(
            "--record",
            "write what was read to this folder, without serials and names",
            "DIR",
            suggestions=("<folder>",),
        ),
    ),
    run=run,
)
