"""Which Mac this is, and its version of macOS."""

import json

from provisioner.facts._macos import FOLDERS, MORE, SYSCTL, told
from provisioner.model.answers import pairs, printed
from provisioner.model.facts import DARWIN, Answers, AskAll, AskKernel, AskTools, CannotAsk, Fact, Host, Unknown

SW_VERS = "sw_vers"


def parse(answers: Answers) -> Host:
    """A tool that fails costs its own part alone; that this is a Mac, the kernel has told."""
    uname, more = _uname(answers), told(answers, MORE)
    # Under Rosetta the kernel says x86_64 (Comfy-Org/comfy-cli#568).
    arm = told(answers, SYSCTL).get("hw.optional.arm64") == "1"
    return Host(
        hostname=uname.get("node") or "unknown",
        os=_version(answers),
        kernel=uname.get("release") or "unknown",
        architecture="arm64" if arm else uname.get("machine") or "unknown",
        product=more.get("hw.model"),
        virtualization="hypervisor" if more.get("kern.hv_vmm_present") == "1" else None,
        boot_id=more.get("kern.bootsessionuuid"),
        system=DARWIN,
    )


def _version(answers: Answers) -> str:
    """`macOS 15.3 (24D60)`."""
    try:
        found = pairs(printed(answers, SW_VERS), ":")
        return f"{found['ProductName']} {found['ProductVersion']} ({found['BuildVersion']})"
    except CannotAsk as error:
        return f"macOS of unknown version ({error})"
    except KeyError as error:
        return f"macOS of unknown version ({SW_VERS} tells no {error.args[0]})"


def _uname(answers: Answers) -> dict[str, str]:
    answer = answers.get("uname")
    found = json.loads(answer) if isinstance(answer, str) else None
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


FACT: Fact[Host] = Fact(
    name="host",
    question=AskAll((AskTools((SYSCTL, MORE, SW_VERS), FOLDERS), AskKernel(("uname",)))),
    parse=parse,
    absent=Unknown("nothing tells what machine this is"),
)
