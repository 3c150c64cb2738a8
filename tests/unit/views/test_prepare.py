"""What `prepare` tells of a host: what would change, what did, and that a host which no playbook knows was left alone."""

from provisioner.model.host import HostStep, Prepared, TaskDone
from provisioner.model.plan import Finding
from provisioner.views.layout import Look
from provisioner.views.prepare import prepare_view, prepared_document

LOOK = Look(100, colour=False, signs=True)
STEP = HostStep("firewall", "firewall: port 443", "published for 10.0.0.0/8 alone", {"firewall_missing": ("nftables",)})
DONE = TaskDone("firewall", "Write the rules", changed=True)
SKIPPED = TaskDone("firewall", "Load the rules", changed=False)


def view(only_checked: bool, rounds: tuple[tuple[TaskDone, ...], ...], findings: tuple[Finding, ...] = ()) -> str:
    return prepare_view(Prepared("lab-01", rounds, (STEP,), findings, only_checked), LOOK)


def test_a_check_speaks_of_what_would_change() -> None:
    assert view(True, ((DONE, SKIPPED),)).splitlines() == [
        "lab-01: 1 task would change something",
        "",
        "  - firewall: port 443: published for 10.0.0.0/8 alone",
        "",
        "  firewall: Write the rules",
    ]
    assert view(True, ((SKIPPED,),)).startswith("lab-01: nothing would change")


def test_a_run_speaks_of_what_changed_round_by_round() -> None:
    told = view(False, ((DONE,), (DONE,)))
    assert told.startswith("✓ lab-01: 2 tasks changed something")
    assert "Round 2\n  firewall: Write the rules" in told
    assert view(False, ()).startswith("✓ lab-01: nothing had to be changed")


def test_a_host_that_is_not_known_is_no_success() -> None:
    told = view(False, (), (Finding("host", "error", "not known", fix="by hand"),))
    assert told.startswith("✗ lab-01: not prepared")


def test_the_document_has_the_playbook_s_variables() -> None:
    told = prepared_document(Prepared("lab-01", ((DONE, SKIPPED),), (STEP,), (), only_checked=False))
    assert told["tasks"] == [{"round": 1, "role": "firewall", "task": "Write the rules"}]
    assert told["variables"] == {"host_steps": ["firewall"], "firewall_missing": ["nftables"]}
    assert told["changed"] is True
