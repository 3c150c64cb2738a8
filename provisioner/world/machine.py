"""This machine, and machines that were recorded: one that answers from files, without a special path for either."""

from __future__ import annotations

import json
import os

from provisioner.errors import BadInput
from provisioner.model.facts import (
    Answers,
    AskAll,
    AskDocker,
    AskKernel,
    AskNvml,
    AskTools,
    CannotAsk,
    NotThere,
    Question,
    ReadFiles,
    Unknown,
)
from provisioner.world import docker, kernel
from provisioner.world.tree import FolderTree, LiveTree, MemoryTree, Tree, answer

ANSWERS_FOLDER = ".provision"
ANSWERS_FILE = "answers.json"
DRIVER_VERSION = "/proc/driver/nvidia/version"
NOT_RECORDED = "not recorded on that machine"


class ThisMachine:
    """The machine that this process runs on. It is read and never changed; only a question for tools starts a process."""

    def __init__(self) -> None:
        self._tree = LiveTree()

    def ask(self, question: Question) -> Answers:
        match question:
            case ReadFiles():
                return answer(self._tree, question)
            case AskKernel(topics):
                return kernel.answer(topics)
            case AskAll(questions):
                return {key: value for part in questions for key, value in self.ask(part).items()}
            case AskDocker(paths):
                return docker.answer(paths)
            case AskNvml():
                return _ask_nvml(self._tree)
            case AskTools():
                from provisioner.world import tools

                return tools.answer(question)


class RecordedMachine:
    """Another machine, from what was read on it: a folder with its /proc and /sys, or one JSON document."""

    def __init__(self, place: str) -> None:
        if os.path.isdir(place):
            recording = _document(os.path.join(place, ANSWERS_FOLDER, ANSWERS_FILE), missing_is_empty=True)
            self._tree: Tree = FolderTree(place)
        elif os.path.isfile(place):
            recording = _document(place)
            self._tree = MemoryTree(_texts(recording.get("files"), place), {})
        else:
            raise BadInput(f"{place}: no such folder or recording", fix="provision detect --record FOLDER  # there")
        self._read = MemoryTree(
            {path: Unknown(str(why)) for path, why in _texts(recording.get("unreadable"), place).items()},
            {path: str(target) for path, target in _texts(recording.get("links"), place).items()},
        )
        self._kernel = _texts(recording.get("kernel"), place)
        self._docker = _texts(recording.get("docker"), place) if recording.get("docker") is not None else None
        self._tools = _texts(recording.get("tools"), place)
        self._asked = frozenset(recording)
        self._nvml = recording.get("nvml")

    def ask(self, question: Question) -> Answers:
        match question:
            case ReadFiles():
                return {**answer(self._tree, question), **answer(self._read, question)}
            case AskKernel(topics):
                return {topic: self._kernel.get(topic, Unknown(NOT_RECORDED)) for topic in topics}
            case AskAll(questions):
                return {key: value for part in questions for key, value in self.ask(part).items()}
            case AskDocker(paths):
                return self._engine(paths)
            case AskNvml():
                return self._devices()
            case AskTools(commands):
                return {command: self._tools.get(command, Unknown(NOT_RECORDED)) for command in commands}

    def _engine(self, paths: tuple[str, ...]) -> Answers:
        if "docker" not in self._asked:
            raise CannotAsk(NOT_RECORDED)
        if self._docker is None:
            raise NotThere("no Docker socket")
        if "" in self._docker:
            raise CannotAsk(_reason(self._docker[""]))
        return {path: self._docker.get(path, Unknown(NOT_RECORDED)) for path in paths}

    def _devices(self) -> Answers:
        if "nvml" not in self._asked:
            if _shows_nvidia(self._tree) is False:
                raise NotThere("no NVIDIA device")
            raise CannotAsk(NOT_RECORDED)
        if self._nvml is None:
            raise NotThere("no NVIDIA device")
        if isinstance(self._nvml, dict) and set(self._nvml) == {"unknown"}:
            raise CannotAsk(str(self._nvml["unknown"]))
        return {"nvml": json.dumps(self._nvml, sort_keys=True)}


def _ask_nvml(tree: Tree) -> Answers:
    """Nothing of NVIDIA's is loaded or asked unless the bus or the kernel shows a device of theirs."""
    version = tree.text(DRIVER_VERSION)
    if version is None and not _shows_nvidia(tree):
        raise NotThere("no NVIDIA device")
    from provisioner.world import nvml

    return nvml.answer(driver_version(version) if isinstance(version, str) else None)


def driver_version(text: str) -> str:
    """The number in `NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 …`."""
    words = text.split("\n", 1)[0].split()
    return next((word for word in words if word[0].isdigit() and "." in word), "of unknown version")


def _shows_nvidia(tree: Tree) -> bool | None:
    """Whether the PCI bus holds a device of NVIDIA's; None where the bus itself is not to be seen."""
    table = tree.text("/proc/bus/pci/devices")
    if isinstance(table, str):
        return "\t10de" in table
    vendors = answer(tree, ReadFiles(("/sys/bus/pci/devices/*/vendor",)))
    return any(str(vendor).strip() == "0x10de" for vendor in vendors.values()) if vendors else None


def _document(path: str, *, missing_is_empty: bool = False) -> dict[str, object]:
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except FileNotFoundError:
        if missing_is_empty:
            return {}
        raise BadInput(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: not a recording: {error}", fix="provision detect --record FOLDER") from None
    if not isinstance(document, dict):
        raise BadInput(f"{path}: not a recording: expected a JSON object", fix="provision detect --record FOLDER")
    return document


def _texts(value: object, place: str) -> dict[str, str | Unknown]:
    """A part of a recording: texts by name, `{"unknown": reason}` where there was no answer."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadInput(f"{place}: not a recording: expected an object of texts", fix="provision detect --record FOLDER")
    return {str(key): _text(item) for key, item in value.items()}


def _text(item: object) -> str | Unknown:
    if isinstance(item, dict) and set(item) == {"unknown"}:
        return Unknown(str(item["unknown"]))
    return item if isinstance(item, str) else json.dumps(item)


def _reason(value: str | Unknown) -> str:
    return value.reason if isinstance(value, Unknown) else value
