"""Writes down what a machine answers, scrubbed; and answers with what it wrote, so that both read the same."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from provisioner.errors import BadInput
from provisioner.model.facts import (
    Answers,
    AskAll,
    AskDocker,
    AskKernel,
    AskNvml,
    AskTools,
    CannotAsk,
    Machine,
    NotThere,
    Question,
    ReadFiles,
    Unknown,
)
from provisioner.world.machine import ANSWERS_FILE, ANSWERS_FOLDER
from provisioner.world.scrub import Scrubber

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


class Recorder:
    """A machine between the questions and another machine. The first answer about a thing is the one that counts."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._scrub = Scrubber(_hostname(machine))
        self._files: dict[str, str | Unknown] = {}
        self._links: dict[str, str | Unknown] = {}
        self._kernel: dict[str, str | Unknown] = {}
        self._tools: dict[str, str | Unknown] = {}
        self._rest: dict[str, Json] = {}

    def ask(self, question: Question) -> Answers:
        match question:
            case ReadFiles(files, links):
                return self._read(files) | self._follow(links)
            case AskKernel(topics):
                return self._topics(topics)
            case AskAll(questions):
                return {key: value for part in questions for key, value in self.ask(part).items()}
            case AskDocker(paths):
                return self._engine(question, paths)
            case AskNvml():
                return self._devices(question)
            case AskTools():
                return self._keep(self._machine.ask(question), self._tools, self._scrub.tool)

    def document(self) -> dict[str, Json]:
        """The recording as one JSON document."""
        files: dict[str, Json] = {path: text for path, text in sorted(self._files.items()) if isinstance(text, str)}
        return {"files": files, **self._answers()}

    def write(self, place: str) -> None:
        """The recording as a folder of files, or as one document where the name ends in `.json`."""
        if place.endswith(".json"):
            _write(place, self.document())
            return
        insist_on_room(place)
        for path, text in self._files.items():
            if isinstance(text, str):
                _write_text(place + path, text)
        _write(os.path.join(place, ANSWERS_FOLDER, ANSWERS_FILE), self._answers())

    def _answers(self) -> dict[str, Json]:
        return {
            "links": {path: _json(target) for path, target in sorted(self._links.items())},
            "unreadable": {p: text.reason for p, text in sorted(self._files.items()) if isinstance(text, Unknown)},
            "kernel": {topic: _json(text) for topic, text in sorted(self._kernel.items())},
            **({"tools": {c: _json(text) for c, text in sorted(self._tools.items())}} if self._tools else {}),
            **self._rest,
        }

    def _read(self, patterns: tuple[str, ...]) -> dict[str, str | Unknown]:
        found = self._machine.ask(ReadFiles(tuple(map(self._scrub.real, patterns))))
        return self._keep(found, self._files, self._scrub.file)

    def _follow(self, patterns: tuple[str, ...]) -> dict[str, str | Unknown]:
        found = self._machine.ask(ReadFiles((), tuple(map(self._scrub.real, patterns))))
        return self._keep(found, self._links, self._scrub.link)

    def _topics(self, topics: tuple[str, ...]) -> dict[str, str | Unknown]:
        found = self._machine.ask(AskKernel(tuple(map(self._scrub.real, topics))))
        return self._keep(found, self._kernel, self._scrub.topic)

    def _keep(
        self,
        found: Answers,
        store: dict[str, str | Unknown],
        scrub: Callable[[str, str | Unknown], str | Unknown],
    ) -> dict[str, str | Unknown]:
        kept: dict[str, str | Unknown] = {}
        for key, value in found.items():
            name = self._scrub.name(key)
            kept[name] = store.setdefault(name, scrub(key, value))
        return kept

    def _engine(self, question: AskDocker, paths: tuple[str, ...]) -> Answers:
        try:
            found = self._machine.ask(question)
        except NotThere:
            self._rest["docker"] = None
            raise
        except CannotAsk as error:
            self._rest["docker"] = {"": {"unknown": str(error)}}
            raise
        kept = {path: self._scrub.engine(path, found[path]) for path in paths}
        self._rest["docker"] = {path: _json(text) for path, text in kept.items()}
        return kept

    def _devices(self, question: AskNvml) -> Answers:
        try:
            found = self._machine.ask(question)["nvml"]
        except NotThere:
            self._rest["nvml"] = None
            raise
        except CannotAsk as error:
            self._rest["nvml"] = {"unknown": str(error)}
            raise
        text = self._scrub.name(found if isinstance(found, str) else json.dumps({"unknown": found.reason}))
        self._rest["nvml"] = json.loads(text)
        return {"nvml": text}


def insist_on_room(place: str) -> None:
    """A recording goes into a new folder: files left from another would be read as part of it."""
    if os.path.isdir(place) and os.listdir(place):
        raise BadInput(f"{place}: the folder is not empty", fix=f"provision detect --record {place.rstrip('/')}-2")


def _hostname(machine: Machine) -> str:
    uname = machine.ask(AskKernel(("uname",)))["uname"]
    return "" if isinstance(uname, Unknown) else str(json.loads(uname).get("node", ""))


def _json(value: str | Unknown) -> Json:
    return {"unknown": value.reason} if isinstance(value, Unknown) else value


def _write(path: str, document: Json) -> None:
    _write_text(path, json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def _write_text(path: str, text: str) -> None:
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}", fix="provision detect --record A-WRITABLE-FOLDER") from None
