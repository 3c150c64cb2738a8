"""Each JSON document against its published schema."""

import json
import os
from collections.abc import Callable

import jsonschema
import pytest

from provisioner.documents import Json
from provisioner.model.holdings import Damage, HeldFile, HeldModel, Holdings, Moved, Verified
from provisioner.model.keys import Key, Published
from provisioner.planning.entrance import Entrance
from provisioner.views import clients, documents, keys, models
from tests.program import run
from tests.unit.views import samples, several

SCHEMAS = os.path.join(os.path.dirname(__file__), "../../../docs/reference")

ENTRANCE = Entrance("https://lab-01:8443/v1", "/k", "/ca.pem")
WEIGHTS = HeldFile("tiny.gguf", "ab" * 32, 4, 4096, "hub:huggingface/owner/name/tiny.gguf", sound=True, shared=False)
HELD = HeldModel("abababab", "tiny", "Tiny", "f16", (WEIGHTS,), (samples.DIGEST,))
KEY = Key("alice", "a" * 64, 1_790_000_000, None, 120, 8)

DOCUMENTS: dict[str, Callable[[], dict[str, Json]]] = {
    "applied": lambda: documents.applied_document(samples.OUTCOME),
    "applied unchanged": lambda: documents.applied_document(samples.UNCHANGED),
    "applied several": lambda: documents.applied_document(several.OUTCOME),
    "status several": lambda: documents.status_document(several.STATUS),
    "bench several": lambda: documents.bench_document(several.BENCHED),
    "upgrade several": lambda: documents.upgrade_document(several.UPGRADED),
    "applied docker": lambda: documents.applied_document(samples.CONTAINED_OUTCOME),
    "status docker": lambda: documents.status_document(samples.CONTAINED_STATUS),
    "removed": lambda: documents.removed_document(samples.REMOVED),
    "rendered": lambda: documents.rendered_document(samples.PLANNED, "/tmp/release", ("plan.json",)),
    "status": lambda: documents.status_document(samples.STATUS),
    "status broken": lambda: documents.status_document(samples.BROKEN),
    "status nothing": lambda: documents.status_document(samples.NOTHING),
    "check": lambda: documents.check_document(samples.CHECKED),
    "check wedged": lambda: documents.check_document(samples.WEDGED),
    "history": lambda: documents.history_document(samples.HISTORY),
    "key": lambda: keys.change_document("create", Published(KEY, "sk-secret", in_force=True)),
    "key without a gateway": lambda: keys.change_document("revoke", Published(KEY)),
    "keys": lambda: keys.list_document((KEY,)),
    "clients": lambda: clients.clients_document(tuple(clients.CLIENTS), clients.Access(ENTRANCE, (samples.SERVICE,))),
    "clients without a gateway": lambda: clients.clients_document(
        ("curl",), clients.Access(ENTRANCE, (samples.SERVICE,), elsewhere=(("other", "http://127.0.0.1:8001/v1"),))
    ),
    "models": lambda: models.list_document(Holdings((HELD,), (WEIGHTS,), 17, samples.DIGEST)),
    "model": lambda: models.moved_document(Moved("remove", (HELD,), changed=True, freed_bytes=4096)),
    "verified": lambda: models.verified_document(Verified((HELD,), 1, 4, (Damage("tiny", WEIGHTS, ""),))),
    "bench": lambda: documents.bench_document(samples.BENCHED),
    "upgrade": lambda: documents.upgrade_document(samples.UPGRADED),
    "upgrade nothing": lambda: documents.upgrade_document(samples.NOT_UPGRADED),
    "rollback": lambda: documents.rollback_document(samples.BACK),
}


def hold(document: object) -> None:
    """Against the schema that the document itself names."""
    assert isinstance(document, dict)
    name = str(document["schema"]).removeprefix("provision.").removesuffix("/1")
    with open(os.path.join(SCHEMAS, f"{name}.schema.json"), encoding="utf-8") as stream:
        schema = json.load(stream)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(document)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_keep_their_schema(name: str) -> None:
    hold(json.loads(json.dumps(DOCUMENTS[name]())))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_document_holds_a_key(name: str) -> None:
    assert samples.OUTCOME.new_key is not None
    assert samples.OUTCOME.new_key not in json.dumps(DOCUMENTS[name]())


def test_a_schema_refuses_what_it_does_not_know() -> None:
    with pytest.raises(jsonschema.ValidationError):
        hold({**documents.status_document(samples.STATUS), "surprise": 1})


def test_health_is_every_service_running() -> None:
    healthy = [
        documents.status_document(status)["healthy"] for status in (samples.STATUS, samples.BROKEN, samples.NOTHING)
    ]
    assert healthy == [True, False, None]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("plan", "--bogus"), 2),
        (("completion", "bash"), 0),
        (("status",), 0),
        (("history",), 0),
        (("check",), 3),
        (("clients",), 3),
        (("model", "list"), 0),
        (("model", "verify"), 0),
        (("model", "remove", "qwen3-8b"), 3),
        (("model", "add", "qwen3-8b"), 2),
        (("logs",), 3),
        (("rollback",), 3),
        (("bench",), 3),
        (("upgrade", "--profile", "demo"), 3),
        (("down",), 0),
        (("up", "--profile", "no-such-profile"), 2),
        (("logs", "--follow"), 2),
    ],
)
def test_every_command_prints_exactly_one_document(words: tuple[str, ...], code: int, tmp_path: object) -> None:
    ran = run(*words, "--json", "--state-dir", f"{tmp_path}/state")
    assert ran.code == code, ran.err
    hold(json.loads(ran.out))
    assert not os.path.exists(f"{tmp_path}/state")


def test_render_writes_what_it_lists(tmp_path: object) -> None:
    ran = run(
        "render",
        "--profile",
        "demo",
        "--hardware",
        "4 cores, 16 GiB",
        "-o",
        f"{tmp_path}/release",
        "--json",
        "--state-dir",
        f"{tmp_path}/state",
    )
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    hold(told)
    assert told["files"]
    assert all(os.path.isfile(f"{tmp_path}/release/{name}") for name in told["files"])


def test_each_of_several_models_has_its_own_figures() -> None:
    status = json.loads(json.dumps(documents.status_document(several.STATUS)))
    told = [(one["model"], one["services"], len(one["memory"]), one["speed"]["speed"]["concurrency"])
            for one in status["models"]]  # fmt: skip
    assert told == [
        ("qwen3-8b", ["llm-qwen3-8b", "llm-qwen3-8b-2"], 2, 4),
        ("qwen3-0.6b", ["llm-qwen3-0-6b"], 0, 2),
    ]
    upgraded = json.loads(json.dumps(documents.upgrade_document(several.UPGRADED)))
    assert [(one["before"] is None, one["after"]["model"]) for one in upgraded["models"]] == [
        (False, "qwen3-8b"), (True, "qwen3-0.6b"),
    ]  # fmt: skip


def test_schemas_that_tell_of_the_same_thing_tell_it_alike() -> None:
    """Each document has its whole schema in one file; what several have in common is held together here."""
    told: dict[str, tuple[str, object]] = {}
    for name in ("applied", "bench", "check", "rollback", "status", "upgrade"):
        with open(os.path.join(SCHEMAS, f"{name}.schema.json"), encoding="utf-8") as stream:
            for word, definition in json.load(stream).get("$defs", {}).items():
                other, known = told.setdefault(word, (name, definition))
                assert definition == known, f"{word} in {name} and in {other}"


def test_an_upgrade_tells_what_up_tells() -> None:
    schemas = []
    for name in ("applied", "upgrade"):
        with open(os.path.join(SCHEMAS, f"{name}.schema.json"), encoding="utf-8") as stream:
            schemas.append(json.load(stream)["properties"])
    applied, upgrade = schemas
    assert {name for name in applied if upgrade.get(name) != applied[name]} == {"schema", "verb", "models"}


def test_what_was_learned_stands_beside_what_was_planned() -> None:
    memory = json.loads(json.dumps(documents.status_document(samples.STATUS)))["memory"]
    assert [(one["device"], one["planned_bytes"], one["measured_bytes"], one["starts"]) for one in memory] == [
        ("nvidia:0", 320 << 20, 318 << 20, 3),
        ("host", 1 << 20, None, 0),
    ]
