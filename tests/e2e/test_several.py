"""Several models on this machine by one `up`: real engines side by side, each proved, and one release."""

import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioner.world import processes
from tests.e2e.appliance import Appliance
from tests.e2e.several import models, mute, question, tiny

pytestmark = [pytest.mark.needs("embedded")]


@pytest.fixture
def appliance(tmp_path: Path) -> Iterator[Appliance]:
    appliance = Appliance(str(tmp_path / "state"), planned=models(tiny(tmp_path, "alpha"), tiny(tmp_path, "beta", 1)))
    yield appliance
    appliance.end()


def said(base_url: str, key: str, model: str) -> str:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{base_url}/chat/completions", json.dumps(question(model)).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(json.loads(answer.read())["choices"][0]["message"]["content"])


def pids(appliance: Appliance) -> dict[str, int]:
    return {one.service: one.pid for one in processes.running(appliance.state)}


def test_two_models_are_brought_up_asked_measured_and_taken_down(appliance: Appliance) -> None:
    first = appliance.json("up")
    served = {one["model"]: one["base_url"] for one in first["endpoints"]}
    assert list(served) == ["alpha", "beta"]
    answers = {model: said(url, appliance.key, model) for model, url in served.items()}
    assert answers["alpha"] != answers["beta"], "one engine answers for both"

    before, started = appliance.snapshot(), pids(appliance)
    assert sorted(started) == ["llm-alpha", "llm-beta"]
    assert appliance.json("up")["changed"] is False
    assert (appliance.snapshot(), pids(appliance)) == (before, started)
    assert appliance.json("plan")["actions"] == []

    assert [one["service"] for one in appliance.json("status")["services"]] == ["llm-alpha", "llm-beta"]
    assert appliance.json("check")["findings"] == []
    benched = appliance.json("bench", "--quick")
    assert [one["model"] for one in (benched, *benched["others"])] == ["alpha", "beta"]
    for one in appliance.json("status")["models"]:
        assert one["speed"]["model"] == one["model"]
        assert one["services"] == [f"llm-{one['model']}"]
        assert all(part["measured_bytes"] for part in one["memory"]), one["memory"]
    assert "beta.gguf" in appliance.ok("logs", "llm-beta", "-n", "2000").stdout
    held = appliance.json("model", "list")["models"]
    assert sorted((one["id"], one["releases"] == [first_release(appliance)]) for one in held) == [
        ("alpha", True), ("beta", True),
    ]  # fmt: skip

    appliance.ok("down", "--purge")
    assert (pids(appliance), os.path.exists(appliance.state)) == ({}, False)


def test_another_model_comes_and_goes_and_the_others_run_on(appliance: Appliance, tmp_path: Path) -> None:
    appliance.ok("up")
    two, good = pids(appliance), first_release(appliance)
    assert starts(appliance) == {"alpha": 2, "beta": 2}, "both are of one kind: each start tells of both"
    gamma = models(tiny(tmp_path, "gamma", 2))
    three = appliance.json("up", *gamma)
    now = pids(appliance)
    assert {name: now[name] for name in two} == two
    assert [one["model"] for one in three["endpoints"]] == ["alpha", "beta", "gamma"]
    assert {one["state"] for one in appliance.json("status")["services"]} <= {"S", "R"}
    assert starts(appliance) == {"alpha": 3, "beta": 3, "gamma": 3}, "only what was started is measured"
    assert appliance.json("up", *gamma)["changed"] is False
    appliance.ok("rollback")
    assert (pids(appliance), first_release(appliance)) == (two, good)
    assert appliance.json("up")["changed"] is False


def starts(appliance: Appliance) -> dict[str, int]:
    """By model how often an engine told of its compute buffers."""
    return {
        one["model"]: part["starts"]
        for one in appliance.json("status")["models"]
        for part in one["memory"]
        if part["component"] == "activation"
    }


def first_release(appliance: Appliance) -> str:
    return str(appliance.json("status")["release"])


def test_one_that_gives_no_answer_takes_the_whole_release_back_by_its_name(
    appliance: Appliance, tmp_path: Path
) -> None:
    appliance.ok("up")
    good = first_release(appliance)
    done = appliance.run("up", *models(mute(tmp_path, "gamma")))
    assert done.returncode == 4, done.stderr
    assert f"release {good[:12]} is back" in done.stderr
    assert "llm-gamma" in done.stderr
    assert "provision logs" in done.stderr
    assert sorted(pids(appliance)) == ["llm-alpha", "llm-beta"]
    assert appliance.json("check")["findings"] == []
