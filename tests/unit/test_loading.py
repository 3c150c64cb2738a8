"""The deployment file and the flags: merged, checked, and refused with the place and the nearest name."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.errors import BadInput
from provisioner.loading import load_spec
from provisioner.model.spec import Spec


def written(folder: Path, text: str) -> str:
    path = folder / "provision.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_nothing_said_is_auto() -> None:
    assert load_spec(None, {}, {}) == Spec()


def test_every_key_of_the_file_is_understood(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "profile: basic\nmodel: qwen3-8b\nengine: llamacpp\ntarget: systemd\nprecision: q8_0\ncontext: 32K\n"
        "concurrency: 8\nweights: /data\nsource: modelscope\nlisten: 127.0.0.1\nsettings: {port: 8001, engine.threads: 4}\n",
    )
    assert load_spec(path, {}, {}) == Spec(
        profile="basic", model="qwen3-8b", engine="llamacpp", target="systemd", precision="q8_0", context=32768,
        concurrency=8, weights="/data", source="modelscope", listen="127.0.0.1",
        settings={"port": "8001", "engine.threads": "4"},
    )  # fmt: skip


def test_a_flag_wins_over_the_file_and_settings_are_merged(tmp_path: Path) -> None:
    path = written(tmp_path, "profile: basic\ncontext: 8192\nsettings: {port: 8001, threads: 2}\n")
    spec = load_spec(path, {"profile": "lite", "context": 4096}, {"port": "9000"})
    assert (spec.profile, spec.context, spec.settings) == ("lite", 4096, {"port": "9000", "threads": "2"})


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    assert load_spec(written(tmp_path, "# nothing\n"), {}, {}) == Spec()


def test_paths_are_made_whole_and_ids_stay() -> None:
    assert load_spec(None, {"model": "./a.gguf", "weights": "w"}, {}).model == os.path.join(os.getcwd(), "a.gguf")
    assert load_spec(None, {"weights": "w"}, {}).weights == os.path.join(os.getcwd(), "w")
    assert load_spec(None, {"model": "qwen3-8b"}, {}).model == "qwen3-8b"


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("profil: basic\n", "unknown key `profil`", "`profile`"),
        ("zzz: 1\n", "unknown key `zzz`", "known keys"),
        ("profile: [basic]\n", "profile: expected text, found list", "profile: standard"),
        ("profile:\n", "profile: expected text, found nothing", "profile: standard"),
        ("context: many\n", "context: `many` is not a whole number", "8192"),
        ("context: true\n", "context: expected a whole number, found bool", "8192"),
        ("context: 0\n", "context: `0` is not a whole number above 0", "8192"),
        ("concurrency: 1.5\n", "concurrency: expected a whole number, found float", "8192"),
        ("- basic\n", "expected `key: value` lines, found a list", "profile: standard"),
        ("settings: 3\n", "settings: expected `key: value` lines", "port"),
        ("settings: {port: [1]}\n", "settings: port: expected one value", "port"),
        ("profile: basic\ncontext: [1\n", ":3: this is not YAML", "key: value"),
        ("profile: !!python/object:os.system {}\n", "this is not YAML", "key: value"),
        ("[" * 3000, "nested too deeply", "key: value"),
        ("context: " + "9" * 5000, "limit", "key: value"),
        ("profile: 2020-13-77\n", "month must be", "key: value"),
        (
            "profile: basic\ncontext: 4096\nprofile: lite\n",
            ":3: `profile` is given twice, the first time in line 1",
            "keep",
        ),
        ("settings:\n  port: 8001\n  port: 8002\n", ":3: `port` is given twice, the first time in line 2", "keep"),
        ("settings: {8: a, '8': b}\n", ":1: `8` is given twice", "keep"),
        ("context: &a [{b: 1,\n  b: 2}, *a]\n", ":2: `b` is given twice", "keep"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, message: str, fix: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadInput) as caught:
        load_spec(path, {}, {})
    assert caught.value.message.startswith(path)
    assert message in caught.value.message
    assert fix in caught.value.fix


def test_a_key_of_another_mapping_is_another_key(tmp_path: Path) -> None:
    path = written(tmp_path, "context: 4096\nsettings: &all {context: 1, port: 8001}\n")
    assert load_spec(path, {}, {}).settings == {"context": "1", "port": "8001"}


def test_a_document_that_leads_back_into_itself_is_read_to_its_end(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="expected one value"):
        load_spec(written(tmp_path, "settings: &all {port: *all}\n"), {}, {})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        load_spec(str(tmp_path / "none.yaml"), {}, {})


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "provision.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput):
        load_spec(str(path), {}, {})


@given(st.text(max_size=80))
def test_any_text_is_a_spec_or_bad_input(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "provision.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        read: Spec | BadInput = load_spec(str(path), {}, {})
    except BadInput as error:
        read = error
    assert isinstance(read, Spec) or read.fix


def test_several_models_in_the_file_and_as_flags(tmp_path: Path) -> None:
    path = written(tmp_path, "models: [qwen3-8b, qwen3-0.6b]\n")
    assert load_spec(path, {}, {}) == Spec(models=("qwen3-8b", "qwen3-0.6b"))
    assert load_spec(path, {}, {}, ("qwen3-4b",)) == Spec(model="qwen3-4b")
    assert load_spec(None, {}, {}, ("a", "./b.gguf")) == Spec(models=("a", os.path.join(os.getcwd(), "b.gguf")))


def test_one_entry_of_models_is_that_model(tmp_path: Path) -> None:
    assert load_spec(written(tmp_path, "models: [qwen3-8b]\n"), {}, {}) == Spec(model="qwen3-8b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: a\nmodels: [b]\n", "both given"),
        ("models: [a, a]\n", "given twice"),
        ("models: [a, b, c, d, e, f, g]\n", "6 at most"),
        ("models: a\n", "expected a list"),
        ("models: []\n", "expected a list"),
        ("models: [a, 1]\n", "expected text"),
    ],
)
def test_models_that_cannot_be_meant(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        load_spec(written(tmp_path, text), {}, {})


def test_a_model_without_a_name_is_refused() -> None:
    with pytest.raises(BadInput, match="empty value"):
        load_spec(None, {}, {}, ("qwen3-8b", " "))
