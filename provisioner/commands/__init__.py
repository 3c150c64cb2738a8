"""What can be asked for: one module a command, each holding the constant `COMMAND`."""

import sys

from provisioner.commands.options import Command

COMMANDS = {
    "up": "Bring this host to a working, proved endpoint (the same as no command)",
    "plan": "Show what would be done and why: budget, decisions, actions",
    "detect": "Show what this machine is",
    "prepare": "Give this host what the plan stands on: Docker, driver, firewall, clock",
    "render": "Write the release folder, applied by nobody",
    "upgrade": "Put another release in force, if it is no slower than this one",
    "status": "Show what is in force and whether it runs",
    "check": "Ask the running services and judge their answers",
    "bench": "Measure how fast the release in force answers",
    "doctor": "Find what drifted apart on this host, before a restart does",
    "logs": "Show what the services wrote",
    "clients": "Show ready settings for the programs that people use",
    "history": "Show what was done here, and when",
    "rollback": "Bring an earlier release back",
    "down": "Stop and remove what `up` made; the weights stay",
    "model": "See, bring, verify and remove the weights in the store",
    "key": "Make, list and take back the keys that people use the endpoint with",
    "completion": "Print the shell's completion script",
}
"""Each command's name, as its module's, and its one-line summary, in the order of the help."""

CHANGING = ("up", "upgrade", "prepare", "rollback", "down")
"""Those that an interruption can leave half-way."""

RESERVED = ("report", "bundle", "fleet")
"""Names that the command line keeps for later releases."""


def load(name: str) -> Command:
    """The command of that name; nothing but its own module is imported."""
    module = f"provisioner.commands.{name}"
    __import__(module)
    command = sys.modules[module].COMMAND
    if not isinstance(command, Command):
        raise TypeError(f"{module}.COMMAND is not a Command")
    return command
