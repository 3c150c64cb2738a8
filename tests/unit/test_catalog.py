"""The catalog is current, agrees with itself, and every plug-in is where its name says."""

import os
import time

import pytest

from provisioner.catalog import COMPILED, COMPILED_MODELS, Lines, find, load_catalog, nearest, scan
from provisioner.errors import BadInput
from provisioner.model.catalog import Geometry, ModelEntry
from provisioner.planning.memory.checkpoints import checkpoint_of
from provisioner.profiles.compile import FOLDER, compile_catalog, compile_models

CATALOG = load_catalog()
MODELS = sorted(CATALOG.models)
DENSE = [
    name
    for name in MODELS
    if (shape := CATALOG.model(name).architecture).kind == "dense-gqa"
    and shape.norms == 2
    and not shape.ungated
    and not shape.parameters_outside_layers
    and not CATALOG.model(name).parameters_rounded
]
EXACT = [
    name
    for name in MODELS
    if "bf16" in CATALOG.model(name).weights_bytes and not CATALOG.model(name).parameters_rounded
]
PROFILES = sorted(CATALOG.profiles)
TIERS = [name for name in PROFILES if not CATALOG.profile(name).tiers]
SCRUBBED = ("/work/", "/tmp", "/home", ".txt")


def test_the_compiled_catalog_is_current() -> None:
    for path, fresh in ((COMPILED, compile_catalog()), (COMPILED_MODELS, compile_models())):
        with open(path, encoding="utf-8") as file:
            assert file.read() == fresh, "run `make catalog`"


def test_lines_are_parsed_when_they_are_asked_for() -> None:
    lines = Lines('one\t{"a":1}\ntwo\tnot json\n')
    assert list(lines) == ["one", "two"]
    assert len(lines) == 2
    assert "two" in lines
    assert lines["one"] == {"a": 1}
    assert lines["one"] is lines["one"]
    with pytest.raises(ValueError, match="Expecting value"):
        lines["two"]
    with pytest.raises(KeyError):
        lines["three"]


def test_it_loads_in_milliseconds() -> None:
    times = []
    for _ in range(5):
        began = time.process_time()
        load_catalog()
        times.append(time.process_time() - began)
    assert min(times) < 0.010


@pytest.mark.parametrize("name", MODELS)
def test_a_model_agrees_with_itself(name: str) -> None:
    model = CATALOG.model(name)
    assert model.id == name
    assert model.source.strip()
    assert all(offer.source.strip() and offer.bytes > 0 for offer in model.gguf)
    assert len({offer.precision for offer in model.gguf}) == len(model.gguf)
    assert model.architecture.kv_layers <= model.architecture.layers
    assert 0 < (model.active_parameters or model.parameters) <= model.parameters


@pytest.mark.parametrize("name", DENSE)
def test_parameters_of_dense_models_follow_from_the_architecture(name: str) -> None:
    model = CATALOG.model(name)
    assert _dense_parameters(model.architecture) == model.parameters


def _dense_parameters(shape: Geometry) -> int:
    queries, keys = shape.heads * shape.key_length, shape.kv_heads * shape.key_length
    attention = shape.hidden * (queries + 2 * keys) + queries * shape.hidden
    biases = (queries + 2 * keys) * shape.qkv_bias + 2 * shape.key_length * shape.qk_norm
    layer = attention + biases + 3 * shape.hidden * shape.feed_forward + 2 * shape.hidden
    embeddings = shape.vocab * shape.hidden * (1 if shape.tied_embeddings else 2)
    return shape.layers * layer + embeddings + shape.hidden


@pytest.mark.parametrize("name", EXACT)
def test_bf16_weights_are_two_bytes_a_parameter(name: str) -> None:
    model = CATALOG.model(name)
    assert model.weights_bytes["bf16"] == 2 * model.parameters


@pytest.mark.parametrize("name", MODELS)
def test_better_precisions_are_larger(name: str) -> None:
    sizes = {offer.precision: offer.bytes for offer in CATALOG.model(name).gguf}
    if {"q4_k_m", "q8_0"} <= set(sizes):
        assert sizes["q4_k_m"] < sizes["q8_0"] < 2 * CATALOG.model(name).parameters


@pytest.mark.parametrize("name", TIERS)
def test_every_step_of_every_ladder_has_weights(name: str) -> None:
    profile = CATALOG.profile(name)
    model: ModelEntry = CATALOG.model(profile.model)
    assert profile.ladder
    assert len(set(profile.ladder)) == len(profile.ladder)
    for rung in profile.ladder:
        assert model.offer(rung.precision) or checkpoint_of(model, rung.precision), rung
        assert rung.context <= model.context
        assert rung.placement in ("device", "split", "host")
    assert set(profile.engines) <= set(scan("provisioner.engines", "ENGINE"))


def test_the_tiers_of_the_design_are_there() -> None:
    assert set(PROFILES) == {"demo", "lite", "basic", "plus", "standard", "pro", "flagship", "auto"}


def test_auto_goes_from_the_largest_tier_to_the_smallest_and_never_to_the_toy() -> None:
    names = CATALOG.profile("auto").tiers
    sizes = [CATALOG.model(CATALOG.profile(name).model).parameters for name in names]
    assert sizes == sorted(sizes, reverse=True)
    assert set(names) == set(TIERS) - {"demo"}


@pytest.mark.parametrize("name", sorted(CATALOG.accelerators))
def test_an_accelerator_has_a_source_and_sane_figures(name: str) -> None:
    entry = CATALOG.accelerator(name)
    assert entry.source.strip()
    assert entry.confidence.strip()
    assert entry.memory_bytes is None or entry.memory_bytes > 4 << 30
    if entry.usable_bytes is not None and entry.memory_bytes is not None:
        assert entry.usable_bytes <= entry.memory_bytes * 1.005


def test_the_sources_name_no_path_of_any_machine() -> None:
    for folder, _, files in os.walk(FOLDER):
        for name in files:
            if name.endswith(".yaml"):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    text = file.read()
                assert not any(mark in text for mark in SCRUBBED), name


@pytest.mark.parametrize(
    ("package", "attribute"),
    [
        ("engines", "ENGINE"),
        ("targets", "TARGET"),
        ("checks", "CHECK"),
        ("checks.drift", "CHECK"),
        ("accelerators", "VENDOR"),
    ],
)
def test_every_plugin_is_in_the_file_of_its_name(package: str, attribute: str) -> None:
    assert scan(f"provisioner.{package}", attribute)


def test_a_plugin_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadInput, match="unknown engine `lamacpp`") as caught:
        find("provisioner.engines", "ENGINE", "lamacpp")
    assert "`llamacpp`" in caught.value.fix


def test_a_misnamed_plugin_fails(tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = os.path.join(tmp_path, "misnamed_plugins")
    os.mkdir(folder)
    for name, text in (("__init__.py", ""), ("one.py", "class P:\n    name = 'other'\nPLUGIN = P()\n"), ("two.py", "")):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(TypeError, match="file and name must agree"):
        find("misnamed_plugins", "PLUGIN", "one")
    with pytest.raises(TypeError, match="has no PLUGIN"):
        find("misnamed_plugins", "PLUGIN", "two")


@pytest.mark.parametrize(("word", "meant"), [("standart", "standard"), ("flag-ship", "flagship"), ("light", "lite")])
def test_nearest_names(word: str, meant: str) -> None:
    assert meant in nearest(word, PROFILES)


def test_unknown_names_list_all_when_none_is_near() -> None:
    with pytest.raises(BadInput) as caught:
        CATALOG.profile("zzzzzz")
    assert "one of" in caught.value.fix
