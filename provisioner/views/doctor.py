"""What drifted apart on a machine, for people and as a document."""

from provisioner.documents import Json, encode
from provisioner.model.upkeep import Examined
from provisioner.views.layout import Look, count, harmless, wrapped
from provisioner.views.plan import finding_lines, joined


def doctor_view(examined: Examined, look: Look) -> str:
    """The verdict in one line, the findings with their remedies, and what nobody could look at."""
    return joined([
        wrapped(_verdict(examined, look), look.width, "", "  "),
        finding_lines(examined.findings, look),
        [line for one in examined.not_looked for line in wrapped(f"{one.fact}: {harmless(one.reason)}", look.width, "  not looked at: ", "    ")],
    ])  # fmt: skip


def _verdict(examined: Examined, look: Look) -> str:
    errors, warnings = (sum(one.level == level for one in examined.findings) for level in ("error", "warning"))
    if errors:
        sign, told = look.paint(look.sign("✗", "x"), "red"), f"{count(errors, 'error')}, {count(warnings, 'warning')}"
    elif warnings:
        sign, told = look.paint("!", "yellow"), f"{count(warnings, 'warning')}, and nothing that stops the appliance"
    else:
        sign, told = look.paint(look.sign("✓", "ok"), "green"), "nothing has drifted"
    release = f", release {examined.release[:12]}" if examined.release else ""
    return f"{sign} {harmless(examined.hostname)}{release}: {told}"


def doctor_document(examined: Examined, exit_code: int) -> dict[str, Json]:
    return {
        "schema": "provision.doctor/1",
        "hostname": examined.hostname,
        "release": examined.release,
        "ok": exit_code == 0,
        "findings": encode(examined.findings),
        "not_looked_at": encode(examined.not_looked),
        "exit_code": exit_code,
    }
