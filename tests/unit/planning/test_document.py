"""`plan --json` is what its schema says, for plans that fit and for refused ones, and nothing beyond it."""

import json
import os

import jsonschema
import pytest

from provisioner.documents import Json
from provisioner.model.spec import Spec
from provisioner.planning.document import SCHEMA, plan_document
from provisioner.planning.serving.beside import with_companions
from tests.unit.planning.samples import PLACE, machine, plan
from tests.unit.planning.test_golden_plans import MACHINES

PATH = os.path.join(os.path.dirname(__file__), "..", "..", "..", "docs", "reference", "plan.schema.json")


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    with open(PATH, encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("profile", ["demo", "auto", "standard", "flagship"])
def test_documents_keep_the_schema(validator: jsonschema.Draft202012Validator, machine: str, profile: str) -> None:
    document = plan_document(plan(MACHINES[machine], Spec(profile=profile)), ("cp a b",))
    validator.validate(json.loads(json.dumps(document)))
    assert document["schema"] == SCHEMA
    assert document["actions"] == ["cp a b"]


def test_what_stands_beside_the_engines_keeps_the_schema(validator: jsonschema.Draft202012Validator) -> None:
    wanted = Spec(profile="demo", target="docker")
    facts = machine(MACHINES["workstation-rtx4090"])
    whole = with_companions(plan(facts, wanted), wanted, PLACE, facts, rendered=False)
    document = json.loads(json.dumps(plan_document(whole, ())))
    validator.validate(document)
    assert {"gateway", "prometheus"} <= {container["name"] for container in document["beside"]}


@pytest.mark.parametrize(
    ("key", "value"),
    [("verdict", "perhaps"), ("surplus", 1), ("services", None), ("memory", {"per_device": []}), ("context", "long")],
)
def test_the_schema_refuses_what_is_no_plan(validator: jsonschema.Draft202012Validator, key: str, value: Json) -> None:
    document = plan_document(plan(MACHINES["small-vm"], Spec(profile="demo")), ())
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**document, key: value})


def test_the_fields_of_the_contract_are_there() -> None:
    document = plan_document(plan(MACHINES["h200"], Spec(profile="pro")), ())
    assert list(document) == [
        "schema", "verdict", "hostname", "profile", "model", "engine", "precision", "target", "parallel", "context",
        "memory", "capacity", "services", "beside", "decisions", "binding", "cheapest_changes", "findings", "actions",
    ]  # fmt: skip
