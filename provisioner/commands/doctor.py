"""`provision doctor`: what drifted apart on this host since it was set up."""

from provisioner.commands.options import Arguments, Command, Example, Option
from provisioner.console import Screen

REFUSED = 3
"""As for a precondition that is missing: what is wrong now stops the appliance, or will at its next start."""


def run(arguments: Arguments, screen: Screen) -> int:
    from provisioner.workflows import host

    examined = host.doctor(arguments.state_dir, arguments.text("sysroot"))
    grave = ("error", "warning") if arguments.switch("strict") else ("error",)
    code = REFUSED if any(finding.level in grave for finding in examined.findings) else 0
    if screen.json:
        from provisioner.views.doctor import doctor_document

        screen.document(doctor_document(examined, code))
    else:
        from provisioner.views.doctor import doctor_view

        screen.show(doctor_view(examined, screen.look))
    return code


COMMAND = Command(
    description="Find what drifted apart since this host was set up, before the next restart finds it: NVIDIA's libraries and another module "
    "in the kernel, a container toolkit that is missing, old or made for another driver, no fabric manager, an image that is newer than the "
    "driver, upgrades of the driver that nobody asked for, a kernel without its module, two makers of control groups, a full disk, a clock "
    "that nobody keeps. Nothing is changed, and all findings come at once, each with its remedy.",
    examples=(
        Example("provision doctor", "this host, and the release in force on it"),
        Example("provision doctor --strict --json", "for monitoring: warnings count as well"),
        Example("provision doctor --sysroot /mnt/server", "another machine's files, copied to here"),
    ),
    options=(
        Option("--sysroot", "look at another machine's files, or a recording", "DIR", suggestions=("<folder>",)),
        Option("--strict", "exit with 3 for warnings as well", kind="switch"),
    ),
    after="Exit codes: 0 no finding of level error (with --strict, nor a warning), 3 at least one.",
    run=run,
)
