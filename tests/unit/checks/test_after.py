"""The rules over what running services answered: each fires on its case, and all stay silent on a sound one."""

from collections.abc import Mapping
from typing import cast

import pytest

from provisioner.catalog import scan
from provisioner.model.containers import CertificateSeen, MakeCertificate, Question
from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View
from provisioner.model.report import Answered, BesideObserved, Completion, Observed, ServiceObserved
from provisioner.model.spec import Spec
from tests.unit.planning.samples import PLACE, altered, machine, plan

CHECKS = cast(Mapping[str, Check], scan("provisioner.checks", "CHECK"))
AFTER = sorted(name for name, check in CHECKS.items() if check.stage == "after")
MACHINE = machine("8 cores, 32 GiB")
PLAN = plan(MACHINE, Spec(profile="demo"))
SERVICE = PLAN.services[0]
SOUND = ServiceObserved(
    name=SERVICE.name,
    pid=4711,
    process_state="S",
    health=200,
    models=(SERVICE.model_name,),
    context=SERVICE.context,
    completion=Completion(200, (0.01, 0.02, 0.03), " one two three", 3),
    status_without_key=401,
    status_with_wrong_key=401,
)
SILENT = Unknown("no answer within 5 s")
UNALLOCATED = "llama_model_load: error loading model: unable to allocate CUDA0 buffer"


def found(**changes: object) -> list[Finding]:
    seen = Observed((altered(SOUND, changes),))
    view = View(PLAN, MACHINE, seen, {}, PLACE.state)
    return [finding for name in AFTER for finding in CHECKS[name].run(view)]


def test_there_are_thirteen() -> None:
    assert AFTER == [
        "answers", "answers_beside", "certificate_valid", "containers_run", "context_effective", "docker_answers", "health",
        "key_required", "model_listed", "not_wedged", "on_devices", "process_alive", "wrong_key_refused",
    ]  # fmt: skip


def test_a_sound_service_raises_nothing() -> None:
    assert found() == []
    assert found(context=SERVICE.context + 256) == []
    assert found(status_without_key=403, status_with_wrong_key=403) == []


def test_nothing_observed_raises_nothing() -> None:
    assert [finding for name in AFTER for finding in CHECKS[name].run(View(PLAN, MACHINE, None, {}, ""))] == []


@pytest.mark.parametrize(
    ("rule", "changes", "words"),
    [
        ("process-alive", {"process_state": None, "log_tail": ("bad luck", "out of memory")}, "out of memory"),
        ("process-alive", {"process_state": "Z"}, "does not run"),
        ("process-alive", {"process_state": None, "log_tail": (UNALLOCATED, "exiting")}, "do not fit there"),
        ("health", {"health": Unknown("nobody listens"), "log_tail": (UNALLOCATED,)}, "out-of-memory-on-device"),
        ("health", {"health": 503}, "status 503"),
        ("health", {"health": Unknown("nobody listens on the port")}, "nobody listens"),
        ("model-listed", {"models": ("another",)}, f"and not {SERVICE.model_name}"),
        ("model-listed", {"models": ()}, "no model"),
        ("model-listed", {"models": SILENT}, "could not be listed"),
        ("answers", {"completion": SILENT}, "no answer within"),
        ("answers", {"completion": Completion(500, (), "", 0, "out of memory")}, "status 500: out of memory"),
        ("answers", {"completion": Completion(200, (), "", 0)}, "empty"),
        ("answers", {"completion": Completion(200, (0.1,), "x", 1)}, "does not advance"),
        ("answers", {"completion": Completion(200, (0.1, 0.2), "x y", 2, "the stream broke off")}, "broke off"),
        ("answers", {"completion": Completion(200, (9e9, 9e9), "x y", 2)}, "are allowed"),
        ("context-effective", {"context": SERVICE.context - 1}, "were promised"),
        ("context-effective", {"context": SILENT}, "could not be asked"),
        ("key-required", {"status_without_key": 200}, "is not refused"),
        ("key-required", {"status_without_key": SILENT}, "could not be tried"),
        ("wrong-key-refused", {"status_with_wrong_key": 200}, "is not refused"),
        ("wrong-key-refused", {"status_with_wrong_key": SILENT}, "could not be tried"),
        ("not-wedged", {"process_state": "T"}, "is stopped"),
        ("not-wedged", {"completion": SILENT}, "no token came in time"),
        ("not-wedged", {"completion": Completion(200, (), "", 0, "no token within 5 s")}, "no token came in time"),
    ],
)
def test_each_rule_fires(rule: str, changes: dict[str, object], words: str) -> None:
    findings = [finding for finding in found(**changes) if finding.id == rule]
    assert len(findings) == 1
    finding = findings[0]
    assert finding.level == "error"
    assert words in finding.message
    assert finding.message.startswith(PLAN.hostname)
    assert finding.fix


@pytest.mark.parametrize(("state", "told"), [("running", []), ("exited with code 1", ["containers-run"])])
def test_what_stands_beside_the_engines_is_to_run(state: str, told: list[str]) -> None:
    seen = Observed((SOUND,), beside=(BesideObserved("gateway", state),))
    assert [one.id for one in CHECKS["containers_run"].run(View(PLAN, MACHINE, seen, {}, ""))] == told


@pytest.mark.parametrize(
    ("status", "there", "words"),
    [(200, True, None), (502, True, "status 502, expected 200"), (200, False, "`data`"), (SILENT, False, "no answer")],
)
def test_what_stands_beside_the_engines_is_to_answer(status: int | Unknown, there: bool, words: str | None) -> None:
    question = Question("gateway", "the models", "https://localhost:8443/v1/models", contains="data")
    seen = Observed((SOUND,), answers=(Answered(question, status, there),))
    said = [one.message for one in CHECKS["answers_beside"].run(View(PLAN, MACHINE, seen, {}, ""))]
    assert len(said) == (words is not None)
    assert all(words in one and "gateway: the models" in one for one in said if words)


def test_a_stopped_process_names_the_way_out() -> None:
    wedged = next(finding for finding in found(process_state="T", health=SILENT) if finding.id == "not-wedged")
    assert wedged.fix.startswith("kill -CONT 4711")


@pytest.mark.parametrize(("state", "rule"), [("T", "not-wedged"), (None, "process-alive")])
def test_a_stopped_or_gone_process_is_told_once(state: str | None, rule: str) -> None:
    silent = dict.fromkeys(
        ("health", "models", "context", "completion", "status_without_key", "status_with_wrong_key"), SILENT
    )
    assert [finding.id for finding in found(process_state=state, **silent)] == [rule]


def test_an_open_door_is_told_even_when_the_process_is_not_ours() -> None:
    assert "key-required" in {finding.id for finding in found(process_state=None, status_without_key=200)}


def test_a_refused_key_is_an_answer_and_no_wedge() -> None:
    assert "not-wedged" not in {finding.id for finding in found(completion=Completion(401, (), "", 0, "no"))}


@pytest.mark.parametrize(("health", "told"), [(200, 1), (503, 0), (SILENT, 0)])
def test_an_engine_that_is_down_is_told_by_its_own_rules_and_not_by_its_gateway(
    health: int | Unknown, told: int
) -> None:
    asked = Question("gateway", "the model", "https://localhost:8443/v1/models/a", behind=SERVICE.model_name)
    seen = Observed((altered(SOUND, {"health": health}),), answers=(Answered(asked, 503, found=False),))
    assert len([*CHECKS["answers_beside"].run(View(PLAN, MACHINE, seen, {}, ""))]) == told


def test_while_docker_is_silent_nothing_is_said_of_its_containers() -> None:
    gone = altered(SOUND, {"pid": None, "process_state": None, "health": SILENT, "completion": SILENT})
    seen = Observed((gone,), (BesideObserved("webui", "not there"),), silence="connection refused")
    view = View(PLAN, MACHINE, seen, {}, PLACE.state)
    told = {finding.id for name in AFTER for finding in CHECKS[name].run(view)}
    assert told == {"docker-answers"}


OWN = MakeCertificate("/s/tls", ("localhost",))
THEIRS = MakeCertificate("/s/tls", ("localhost",), "/etc/ssl/llm.pem", "/etc/ssl/llm.key")
DAY = 86400


@pytest.mark.parametrize(
    ("left", "wanted", "level", "says", "fix"),
    [
        (-3 * 3600, OWN, "error", "expired 3 hours ago", "provision up"),
        (0, THEIRS, "error", "expired 0 minutes ago", "renew /etc/ssl/llm.pem"),
        (12 * DAY + 5, THEIRS, "warning", "(/etc/ssl/llm.pem) expires in 12 days", "renew /etc/ssl/llm.pem"),
        (12 * DAY, OWN, "warning", "expires in 12 days", "provision up"),
        (31 * DAY, OWN, None, "", ""),
        (Unknown("cannot be read"), OWN, None, "", ""),
    ],
)
def test_a_certificate_is_spoken_of_a_month_before_its_end(
    left: int | Unknown, wanted: MakeCertificate, level: str | None, says: str, fix: str
) -> None:
    view = View(PLAN, MACHINE, Observed((SOUND,)), {}, "", certificates=(CertificateSeen(wanted, left),))
    found = list(CHECKS["certificate_valid"].run(view))
    assert [one.level for one in found] == ([level] if level else [])
    for one in found:
        assert one.id == "certificate"
        assert says in one.message
        assert fix in one.fix
