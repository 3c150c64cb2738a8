"""Ask running services for everything the checks want to know; each question by itself, all of them at once."""

import os
import threading
from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from provisioner import catalog
from provisioner.documents import Json
from provisioner.errors import BadInput
from provisioner.model.containers import CertificateSeen, Question
from provisioner.model.facts import Unknown
from provisioner.model.plan import Plan, Service
from provisioner.model.plugins import Engine
from provisioner.model.release import Running
from provisioner.model.report import Answered, BesideObserved, Completion, Observed, ServiceObserved
from provisioner.world import containers, probe, processes

LOG_LINES = 20
LOOKED_AT = 400
"""Behind the root of an error an engine writes a page or two of others that follow from it."""
TELLING = ("Error", "error:", "error while", "failed to", "panic:", "Watchdog", "Address already", "Insufficient")
LOG_BYTES = 128 << 10
STOPPED_PATIENCE = 2.0
"""A stopped process does not answer, however long one waits; a little, in case that it is let go on."""
TAIL_SECONDS = 60.0

T = TypeVar("T")


def observe(plan: Plan, running: tuple[Running, ...], state: str) -> Observed:
    """The raw answers of everything in a plan, none of them judged."""
    there = {one.service: one for one in running}
    return Observed(
        services=observe_engines(plan.services, running),
        beside=tuple(BesideObserved(one.name, state_of(one.name, there)) for one in plan.beside),
        answers=answers_of(plan.questions),
        silence=containers.silence(state) if plan.target == containers.TARGET and not running else "",
    )


def certificates_of(plan: Plan | None) -> tuple[CertificateSeen, ...]:
    """How long what is shown to clients still holds."""
    if plan is None or not plan.makes:
        return ()
    from provisioner.world.certificates import seen

    return tuple(seen(one) for one in plan.makes)


def observe_engines(services: tuple[Service, ...], running: tuple[Running, ...]) -> tuple[ServiceObserved, ...]:
    there = {one.service: one for one in running}
    answers = together({service.name: _asker(service, there.get(service.name)) for service in services})
    return tuple(answers[service.name] for service in services)


def state_of(name: str, there: Mapping[str, Running]) -> str:
    return there[name].state if name in there else "not there"


def answers_of(questions: tuple[Question, ...]) -> tuple[Answered, ...]:
    """What the services beside the engines answer, all asked at once."""
    asked = {str(number): _questioner(question) for number, question in enumerate(questions)}
    answers = together(asked)
    return tuple(answers[str(number)] for number in range(len(questions)))


def _questioner(question: Question) -> Callable[[], Answered]:
    return lambda: _answered(question)


def _answered(question: Question) -> Answered:
    key = read_key(question.key_file) if question.key_file else None
    if isinstance(key, Unknown):
        return Answered(question, key, found=False)
    answer = probe.ask(question, key)
    if isinstance(answer, Unknown):
        return Answered(question, answer, found=False)
    return Answered(question, answer.status, question.contains.encode() in answer.body)


def _asker(service: Service, running: Running | None) -> Callable[[], ServiceObserved]:
    return lambda: _observe(service, running)


def together(questions: Mapping[str, Callable[[], T]]) -> dict[str, T]:
    """Every question in a thread of its own: one that gets no answer holds none of the others up."""
    answers: dict[str, T] = {}

    def ask(name: str) -> None:
        answers[name] = questions[name]()

    threads = [threading.Thread(target=ask, args=(name,), daemon=True) for name in questions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def _observe(service: Service, running: Running | None) -> ServiceObserved:
    pid = processes.engine_of(running.pid) if running is not None and running.pid else None
    state = processes.state_of(pid) if pid is not None else None
    key = read_key(service.key_file)
    first = min(service.first_token_seconds, STOPPED_PATIENCE) if state in ("T", "t") else service.first_token_seconds
    patience = min(probe.PATIENCE, first)
    answers = together(
        {
            "health": lambda: _status(probe.get(service, service.health_path, None, patience)),
            "models": lambda: _models(service, key, patience),
            "context": lambda: _context(service, key, patience),
            "completion": lambda: _completion(service, key, first),
            "without_key": lambda: _status_of_question(service, None, first),
            "wrong_key": lambda: _status_of_question(service, f"wrong-{service.name}", first),
        }
    )
    # An engine that loads its model for the first question can tell of it only then.
    late = isinstance(answers["context"], Unknown) and isinstance(answers["completion"], Completion)
    context = _context(service, key, patience) if late else cast(int | Unknown, answers["context"])
    return ServiceObserved(
        name=service.name,
        pid=pid,
        process_state=processes.state_of(pid) if pid is not None else None,
        health=cast(int | Unknown, answers["health"]),
        models=cast(tuple[str, ...] | Unknown, answers["models"]),
        context=context,
        completion=cast(Completion | Unknown, answers["completion"]),
        status_without_key=cast(int | Unknown, answers["without_key"]),
        status_with_wrong_key=cast(int | Unknown, answers["wrong_key"]),
        log_tail=_log_tail(service, running),
        on_devices=_on_devices(service, key, patience),
        container_state=running.state if running is not None and running.contained else "",
    )


def _status(answer: probe.Answer | Unknown) -> int | Unknown:
    return answer if isinstance(answer, Unknown) else answer.status


def _status_of_question(service: Service, key: str | None, seconds: float) -> int | Unknown:
    """A complete question that the engine would answer, so that a refusal can only be about the key."""
    body: Json = {
        "model": service.model_name,
        "messages": [{"role": "user", "content": "1"}],
        "max_tokens": 1,
    }
    return _status(probe.post(service, "/v1/chat/completions", key, body, seconds))


def _models(service: Service, key: str | Unknown, seconds: float) -> tuple[str, ...] | Unknown:
    document = _document(service, "/v1/models", key, seconds)
    if isinstance(document, Unknown):
        return document
    entries = document.get("data") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        return Unknown("/v1/models holds no list of models")
    return tuple(str(entry["id"]) for entry in entries if isinstance(entry, dict) and "id" in entry)


def _context(service: Service, key: str | Unknown, seconds: float) -> int | Unknown:
    try:
        engine = cast(Engine, catalog.find("provisioner.engines", "ENGINE", service.engine))
    except BadInput as error:
        return Unknown(error.message)
    if not engine.context_path:
        return Unknown(f"{engine.title} does not tell it")
    document = _document(service, engine.context_path, key, seconds)
    for name in engine.context_field:
        if isinstance(document, Unknown):
            return document
        document = _inside(document, name)
    if isinstance(document, int):
        return document
    return document if isinstance(document, Unknown) else Unknown(f"{engine.context_path} does not tell the context")


def _on_devices(service: Service, key: str | Unknown, seconds: float) -> float | None:
    try:
        engine = cast(Engine, catalog.find("provisioner.engines", "ENGINE", service.engine))
    except BadInput:
        return None
    document = _document(service, engine.context_path, key, seconds) if engine.on_devices else None
    return engine.on_devices(document) if engine.on_devices else None


def _inside(document: Json, name: str) -> Json:
    """What an answer has under a name, or in a list at a place."""
    if isinstance(document, list) and name.isdigit():
        return document[int(name)] if int(name) < len(document) else None
    return document.get(name) if isinstance(document, dict) else None


def _document(service: Service, path: str, key: str | Unknown, seconds: float) -> Json | Unknown:
    if isinstance(key, Unknown):
        return key
    answer = probe.get(service, path, key, seconds)
    if isinstance(answer, Unknown):
        return answer
    if answer.status != 200:
        return Unknown(f"{path} answers with status {answer.status}")
    try:
        return answer.json()
    except (ValueError, RecursionError):
        return Unknown(f"{path} answers with something that is no JSON")


def _completion(service: Service, key: str | Unknown, first: float) -> Completion | Unknown:
    """Of each of its models; the first that does not answer is what there is to tell."""
    if isinstance(key, Unknown):
        return key
    answers = (probe.complete(one, key, first, first + TAIL_SECONDS) for one in service.each[::-1])
    for answer in answers:
        if not isinstance(answer, Completion) or not answer.tokens:
            break
    return answer


def read_key(path: str) -> str | Unknown:
    """The key of a service, from its own file."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().strip() or Unknown(f"the key file {path} is empty")
    except (OSError, UnicodeDecodeError) as error:
        reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else "it is no text"
        return Unknown(f"the key file {path} cannot be read: {reason}")


def _log_tail(service: Service, running: Running | None) -> tuple[str, ...]:
    """The last lines that an engine wrote: a container's are kept by its runtime, all others lie beside its key."""
    state = os.path.dirname(os.path.dirname(service.key_file))
    if running is not None and running.target == containers.TARGET:
        return _telling(containers.tail(state, service.name, LOOKED_AT))
    path = os.path.join(state, "logs", f"{service.name}.log")
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_BYTES))
            return _telling(tuple(file.read().decode("utf-8", "replace").splitlines()[-LOOKED_AT:]))
    except OSError:
        return ()


def _telling(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The last lines, and before them those that speak of an error."""
    before, last = lines[:-LOG_LINES], lines[-LOG_LINES:]
    return (*[line for line in before if any(word in line for word in TELLING)][:LOG_LINES], *last)
