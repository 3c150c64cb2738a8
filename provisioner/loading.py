"""The deployment file with the flags over it, as one `Spec`; what cannot be meant is refused with the nearest name."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from provisioner.catalog import nearest, unknown
from provisioner.errors import BadInput
from provisioner.model.record import fields
from provisioner.model.spec import MOST_MODELS, Spec

if TYPE_CHECKING:
    import yaml

COUNTS = ("context", "concurrency")
SWITCHES = ("monitoring",)
LINES = "one `key: value` to a line, for example `profile: standard`"
KEYS = tuple(field.name for field in fields(Spec))


def load_spec(
    file: str | None, flags: Mapping[str, str | int], settings: Mapping[str, str], models: tuple[str, ...] = ()
) -> Spec:
    """What the operator wants. A flag wins over the file, and of `--set` each key by itself; `models` are those of the flags."""
    written = _read(file) if file is not None else {}
    values = {
        key: _value(file or "", key, value) for key, value in written.items() if key not in ("settings", "models")
    }
    values.update({key: _value(f"--{key}", key, value) for key, value in flags.items()})
    named = _flagged(models) or _listed(file or "", written)
    if named:
        values.pop("model", None)
    if len(named) == 1:
        values["model"], named = named[0], ()
    merged = {**_settings(file or "", written.get("settings")), **settings}
    return _spec(values, merged, named)


def _flagged(models: tuple[str, ...]) -> tuple[str, ...]:
    if any(not model.strip() for model in models):
        raise BadInput("`--model` was given an empty value", fix="write `--model ID|PATH`, or leave it out")
    return _once("--model", models)


def _listed(path: str, written: Mapping[str, object]) -> tuple[str, ...]:
    """`models:` of the file, one and more; () where there is none."""
    if "models" not in written:
        return ()
    value = written["models"]
    if "model" in written:
        raise BadInput(f"{path}: `model` and `models` are both given", fix="put the one model into `models` as well")
    if not isinstance(value, list) or not value:
        raise BadInput(
            f"{path}: models: expected a list, found {_found(value)}", fix="`models: [qwen3-8b, qwen3-0.6b]`"
        )
    return _once(f"{path}: models", tuple(str(_value(path, "models", model)) for model in value))


def _once(where: str, models: tuple[str, ...]) -> tuple[str, ...]:
    """As many as can be packed, each once."""
    for place, model in enumerate(models):
        if model in models[:place]:
            raise BadInput(f"{where}: `{model}` is given twice", fix="name each model once")
    if len(models) > MOST_MODELS:
        raise BadInput(
            f"{where}: {len(models)} models, and the best places are found for {MOST_MODELS} at most",
            fix=f"name {MOST_MODELS} models or fewer; more of them go on a second machine",
        )
    return models


def _spec(values: Mapping[str, str | int], settings: Mapping[str, str], models: tuple[str, ...]) -> Spec:
    texts = {key: str(value) for key, value in values.items() if key not in COUNTS}
    counts = {key: int(value) for key, value in values.items() if key in COUNTS}
    return Spec(
        profile=texts.get("profile", "auto"),
        model=_path(texts.get("model")),
        models=tuple(_path(model) or "" for model in models),
        engine=texts.get("engine"),
        target=texts.get("target"),
        precision=texts.get("precision"),
        context=counts.get("context"),
        concurrency=counts.get("concurrency"),
        weights=_home(texts.get("weights")),
        source=texts.get("source"),
        listen=texts.get("listen"),
        registry=texts.get("registry"),
        images=_home(texts.get("images")),
        monitoring=texts.get("monitoring", "yes") == "yes",
        settings=dict(settings),
    )


def _path(model: str | None) -> str | None:
    """A model that is a file is named by its whole path; an id stays as it is."""
    if model is None or not (model.lower().endswith(".gguf") or model.startswith(("/", "./", "../", "~"))):
        return model
    return _home(model)


def _home(path: str | None) -> str | None:
    return None if path is None else os.path.abspath(os.path.expanduser(path))


def _read(path: str) -> dict[str, object]:
    """The file's keys and values."""
    content = _content(path)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise BadInput(
            f"{path}: expected `key: value` lines, found a {type(content).__name__}", fix="`profile: standard`"
        )
    return {_known(path, str(key)): value for key, value in content.items()}


def _content(path: str) -> object:
    """Only here is YAML loaded."""
    import yaml

    try:
        with open(path, encoding="utf-8") as stream:
            return _document(path, yaml.SafeLoader(stream))
    except OSError as error:
        raise BadInput(
            f"{path}: cannot be read: {error.strerror}", fix="name a file that you may read with `-f`"
        ) from None
    except UnicodeDecodeError:
        raise BadInput(f"{path}: cannot be read: it is not UTF-8 text", fix="save it as UTF-8") from None
    except yaml.YAMLError as error:
        raise BadInput(f"{path}{_line(error)}: this is not YAML: {_problem(error)}", fix=LINES) from None
    except RecursionError:
        raise BadInput(f"{path}: it is nested too deeply", fix=LINES) from None
    except ValueError as error:  # A number that Python itself refuses to read, or a date that does not exist.
        raise BadInput(f"{path}: {str(error).partition(';')[0]}", fix=LINES) from None


def _document(path: str, loader: "yaml.SafeLoader") -> object:
    """What `yaml.safe_load` gives, where each key stands once: of two lines it would take the last and say nothing."""
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _insist_on_single_keys(path, loader, node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _insist_on_single_keys(path: str, loader: "yaml.SafeLoader", root: "yaml.Node") -> None:
    import yaml

    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))  # An alias may lead back to where it stands.
        if isinstance(node, yaml.MappingNode):
            _compare_keys(path, loader, node)
            waiting.extend(value for _, value in node.value)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)


def _compare_keys(path: str, loader: "yaml.SafeLoader", mapping: "yaml.MappingNode") -> None:
    lines: dict[str, int] = {}
    for node, _ in mapping.value:
        if node.id != "scalar":
            continue
        key, line = str(loader.construct_object(node)), node.start_mark.line + 1
        if key in lines:
            raise BadInput(
                f"{path}:{line}: `{key}` is given twice, the first time in line {lines[key]}",
                fix="keep the one that you mean, and remove the other",
            )
        lines[key] = line


def _line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}" if mark is not None else ""


def _problem(error: Exception) -> str:
    return str(getattr(error, "problem", None) or str(error).splitlines()[0])


def _known(path: str, key: str) -> str:
    if key in KEYS:
        return key
    near = nearest(key, KEYS)
    fix = f"did you mean {' or '.join(f'`{word}`' for word in near)}?" if near else f"known keys: {', '.join(KEYS)}"
    raise BadInput(f"{path}: unknown key `{key}`", fix=fix)


def _value(where: str, key: str, value: object) -> str | int:
    place = f"{where}: {key}" if not where.startswith("--") else where
    if key not in KEYS:
        raise unknown("key", key, KEYS)
    if key in COUNTS:
        return _count(place, key, value)
    if key in SWITCHES:
        return _switch(place, key, value)
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise BadInput(f"{place}: expected text, found {_found(value)}", fix=f"`{key}: {_example(key)}`")


def _switch(place: str, key: str, value: object) -> str:
    words = {True: "yes", False: "no", "yes": "yes", "no": "no"}
    if isinstance(value, bool | str) and value in words:
        return words[value]
    raise BadInput(f"{place}: expected yes or no, found {_found(value)}", fix=f"`{key}: no`")


def _count(place: str, key: str, value: object) -> int:
    from provisioner.planning.asked.amounts import whole_number

    try:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError(f"expected a whole number, found {_found(value)}")
        return whole_number(str(value))
    except ValueError as error:
        raise BadInput(f"{place}: {error}", fix=f"`{key}: 8192`, for example") from None


def _settings(path: str, value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadInput(f"{path}: settings: expected `key: value` lines, found {_found(value)}",
                       fix="`settings: {port: 8001}`, for example")  # fmt: skip
    bad = [str(key) for key, item in value.items() if isinstance(item, list | dict) or item is None]
    if bad:
        raise BadInput(f"{path}: settings: {bad[0]}: expected one value", fix="`settings: {port: 8001}`, for example")
    return {str(key): str(item) for key, item in value.items()}


def _found(value: object) -> str:
    return "nothing" if value is None else f"{type(value).__name__} `{value}`"


def _example(key: str) -> str:
    return {"profile": "standard", "model": "qwen3-8b", "target": "systemd", "precision": "q4_k_m"}.get(key, "…")
