"""The gateway for real: nginx as it is rendered, in its container, before two engines that answer."""

import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.services import _gateway_keys as book
from provisioner.services.gateway import ROUTES
from provisioner.world import files, tinymodel
from tests.bed.door import GONE, Bed, begin, container, in_its_place, rest
from tests.bed.gateway import STACK_KEY, Answer, chat, engine, running, stack, wait_until
from tests.ports import free_port
from tests.program import run
from tests.unit.planning.samples import machine, plan

pytestmark = [pytest.mark.needs("gateway", "compose", "embedded")]

STRANGE = ("/metrics", "/docs", "/openapi.json", "/tokenize", "/detokenize", "/slots", "/props", "/invocations", "/pooling",
           "/health", "/load", "/server_info", "/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/v1/tokenize", "/v1/audio/speech",
           "/api/pull", "/api/tags", "/v1", "/v1/", "/-/models/model_0", "/v1/chat/completions/", "/v1/files")  # fmt: skip


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    folder = tmp_path_factory.mktemp("gateway")
    model = tinymodel_at(folder)
    planned = plan(machine("2 cores, 16 GiB"), Spec("demo")).services[0]
    wanted = stack(
        folder / "state",
        (
            replace(planned, name="llm-0", port=free_port()),
            # A replica that refuses every connection: the other one takes its requests.
            replace(planned, name="llm-1", port=free_port()),
            replace(planned, name="second", port=free_port(), model_name="other"),
            replace(planned, name="third", port=free_port(), model_name=GONE),
            # One whose name nobody knows until a container of that name starts.
            replace(planned, name="fourth", port=free_port(), model_name=GONE),
        ),
    )
    with ExitStack() as up:
        tiny = up.enter_context(engine(wanted.engines[0], model, slots=3, context=3 * 2048))
        other = up.enter_context(engine(wanted.engines[2], model))
        names = dict.fromkeys(("llm-0", "llm-1", "second", "third"), tiny.address)
        yield Bed(up.enter_context(running(wanted, names)), tiny, other)


def tinymodel_at(folder: Path) -> str:
    path = str(folder / "tiny.gguf")
    tinymodel.write(path)
    return path


@pytest.fixture
def key(bed: Bed, request: pytest.FixtureRequest) -> Iterator[str]:
    """Alice's key, for one test."""
    limits = getattr(request, "param", {})
    yield bed.gateway.create("alice", **limits)
    bed.gateway.revoke("alice")


def test_a_chat_is_answered_to_a_key_and_to_nobody_else(bed: Bed, key: str) -> None:
    assert bed.gateway.chat("demo-tiny", key).document["usage"]["completion_tokens"] == 8
    for wrong in (None, "wrong", key[:-1], f"{key}x", "Basic abc"):
        refused = bed.gateway.chat("demo-tiny", wrong)
        assert (refused.status, refused.error["code"]) == (401, "invalid_api_key")
        assert refused.headers["WWW-Authenticate"] == "Bearer"


def test_a_stream_comes_as_the_engine_makes_it(bed: Bed, key: str) -> None:
    response = begin(bed, key)
    with bed.tiny.frozen():
        waiting = select.select([response.fileno()], [], [], 0.3)[0]
        early = response.read1(1 << 16) if waiting else b""
        assert b"[DONE]" not in early
    assert rest(response).rstrip().endswith(b"data: [DONE]")


def test_a_key_that_is_revoked_while_it_streams_opens_nothing_more_and_the_stream_goes_on(bed: Bed) -> None:
    secret = bed.gateway.create("bob")
    response = begin(bed, secret)
    with bed.tiny.frozen():
        bed.gateway.revoke("bob")
        assert bed.gateway.chat("other", secret).status == 401
        assert bed.gateway.chat("other", STACK_KEY).status == 200
    assert rest(response).rstrip().endswith(b"data: [DONE]")


def test_keys_are_taken_up_within_a_second_whoever_wrote_them(bed: Bed, key: str) -> None:
    """As after a command that was killed when the file was written: nobody tells the gateway."""
    path, before = str(bed.gateway.keys_file), bed.gateway.keys_file.read_text()
    assert key not in before
    expired = book.text(replace(each, expires_unix=int(time.time()) - 1) for each in book.parse(before))
    began = time.monotonic()
    files.write_whole(path, expired, 0o600)
    while bed.gateway.ask("GET", "/v1/models", key).status != 401:
        assert time.monotonic() - began < 10
    assert time.monotonic() - began < 2, "a second, and as much for a machine under load"
    files.write_whole(path, before, 0o600)
    while bed.gateway.ask("GET", "/v1/models", key).status != 200:
        assert time.monotonic() - began < 10


def test_the_command_makes_lists_and_takes_back_keys(bed: Bed) -> None:
    state = ("--json", "--state-dir", bed.gateway.stack.place.state)
    made = json.loads(run("key", "create", "grace", "--rate", "5", "--expires", "2", *state).out)
    assert made["in_force"] is True
    assert bed.gateway.ask("GET", "/v1/models", made["key"]).status == 200
    listed = run("key", "list", *state).out
    assert [(one["name"], one["rate"]) for one in json.loads(listed)["keys"]] == [("grace", 5)]
    assert made["key"] not in listed
    assert json.loads(run("key", "revoke", "grace", *state).out)["in_force"] is True
    assert bed.gateway.ask("GET", "/v1/models", made["key"]).status == 401


@pytest.mark.parametrize("key", [{"rate": 3}], indirect=True)
def test_more_requests_than_a_key_may_send_in_a_minute(bed: Bed, key: str) -> None:
    answers = [bed.gateway.ask("GET", "/v1/models", key) for _ in range(5)]
    assert [each.status for each in answers] == [200, 200, 200, 429, 429]
    assert answers[3].error["code"] == "rate_limit_exceeded"
    assert answers[3].headers["Retry-After"] == "20"


@pytest.mark.parametrize("key", [{"concurrency": 1}], indirect=True)
def test_more_requests_at_a_time_than_a_key_may_have_open(bed: Bed, key: str) -> None:
    response = begin(bed, key)
    with bed.tiny.frozen():
        refused = bed.gateway.chat("other", key)
        assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
    rest(response)
    assert bed.gateway.chat("other", key).status == 200


def test_each_request_goes_to_an_engine_of_its_model(bed: Bed) -> None:
    assert bed.gateway.chat("other", STACK_KEY).document["model"] == "other"
    for _ in range(4):  # Of its two replicas one is down.
        assert bed.gateway.chat("demo-tiny", STACK_KEY).document["model"] == "demo-tiny"


def test_the_models_are_those_of_all_engines_that_answer(bed: Bed) -> None:
    listed = bed.gateway.ask("GET", "/v1/models", STACK_KEY).document
    assert [each["id"] for each in listed["data"]] == ["demo-tiny", "other"]
    assert all(set(each) == {"id", "object", "created", "owned_by"} for each in listed["data"])
    assert bed.gateway.ask("GET", "/v1/models/other", STACK_KEY).document["id"] == "other"
    assert bed.gateway.ask("GET", "/v1/models/none", STACK_KEY).error["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (chat("unknown"), 404, "model_not_found"),
        (chat("constructor"), 404, "model_not_found"),
        ({"messages": []}, 400, "model_required"),
        ({"model": ["demo-tiny"]}, 400, "model_required"),
        (b"{nonsense", 400, "invalid_json"),
        (b"", 400, "invalid_json"),
        (b"null", 400, "invalid_json"),
    ],
)
def test_what_names_no_model_is_told_so(bed: Bed, body: object, status: int, code: str) -> None:
    refused = bed.gateway.ask("POST", "/v1/chat/completions", STACK_KEY, body)
    assert (refused.status, refused.error["code"]) == (status, code)
    if code == "model_not_found":
        assert "demo-tiny, gone, other" in refused.error["message"]


def test_a_model_whose_engine_is_down_is_told_so_at_once(bed: Bed) -> None:
    began = time.monotonic()
    refused = bed.gateway.chat(GONE, STACK_KEY)
    assert refused.status in (502, 503)
    assert refused.error["code"] == "engine_unavailable"
    assert time.monotonic() - began < 1


def until_there(bed: Bed, came: list[bytes]) -> Answer:
    """One that refused twice is left alone for five seconds; then the answer of who is in its place."""
    deadline = time.monotonic() + 10
    while True:
        answer = bed.gateway.chat(GONE, STACK_KEY)
        if came:
            return answer
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_what_was_sent_to_an_engine_is_not_sent_again(bed: Bed) -> None:
    with in_its_place(bed, ()) as came:
        refused = until_there(bed, came)
        assert refused.error["code"] == "engine_unavailable"
    assert len(came) == 1


def address(bed: Bed, other_than: str = "") -> str:
    """Where the gateway finds the engine whose container starts late, once it finds it anywhere else."""
    deadline = time.monotonic() + 20
    while True:
        answer = bed.gateway.chat(GONE, STACK_KEY)
        if answer.status == 200 and answer.body != other_than:
            return answer.body
        assert time.monotonic() < deadline, answer
        time.sleep(0.1)


def test_an_engine_is_found_when_it_starts_and_where_it_comes_back(bed: Bed) -> None:
    late = (bed.gateway.stack.place.project, "fourth", bed.gateway.stack.engines[4].port, "$server_addr")
    assert bed.gateway.chat(GONE, STACK_KEY).status == 502
    response = begin(bed, STACK_KEY)
    with bed.tiny.frozen():
        with container(*late):
            first = address(bed)
        with container(late[0], "takes-its-address", *late[2:]), container(*late):
            assert address(bed, first) != first
    assert rest(response).rstrip().endswith(b"data: [DONE]"), "what is being streamed goes on"


def test_the_chat_page_has_all_paths_but_those_of_the_api(tmp_path: Path) -> None:
    served = plan(machine("2 cores, 16 GiB"), Spec("demo")).services[0]
    wanted = replace(stack(tmp_path / "state", (served,)), wanted=frozenset({"gateway", "openwebui"}))
    says = "$request_uri $http_host $http_x_forwarded_proto $http_connection $http_upgrade"
    with running(wanted, {}) as door:
        missing = door.ask("GET", "/")
        assert (missing.status, missing.headers["Retry-After"]) == (502, "5")
        with container(wanted.place.project, "webui", 8080, says), closing(door.connection()) as connection:
            wait_until(lambda: door.ask("GET", "/").status == 200, "the page is not found")
            connection.request("GET", "/ws/socket.io/?a=b", headers={"Upgrade": "websocket", "Connection": "Upgrade"})
            with connection.getresponse() as response:
                said = response.read().decode()
            assert said == f"/ws/socket.io/?a=b 127.0.0.1:{wanted.port} https upgrade websocket"
            assert door.ask("GET", "/v1/models").status == 401
            assert door.ask("GET", "/v1/tokenize", STACK_KEY).status == 404


def test_an_answer_comes_byte_for_byte_wherever_its_pieces_end(bed: Bed) -> None:
    said = "你好，世界 — \U0001f600".encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    with in_its_place(bed, (head, *(said[at : at + 1] for at in range(len(said))))) as came:
        assert until_there(bed, came).body.encode() == said


def test_an_engine_gets_its_own_key_and_nothing_else_of_who_asks(bed: Bed, key: str) -> None:
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    headers = {"Authorization": f"Bearer {key}", "Cookie": "a=b", "X-Request-Id": "mine"}
    with in_its_place(bed, (ok,)) as came, closing(bed.gateway.connection()) as connection:
        until_there(bed, came)
        came.clear()
        connection.request("POST", "/v1/completions?x=1", body=json.dumps(chat(GONE)), headers=headers)
        with connection.getresponse() as response:
            told = response.headers["X-Request-Id"]
    assert came[0].startswith(b"POST /v1/completions HTTP/1.1\r\n")
    assert f"Authorization: Bearer {STACK_KEY}\r\n".encode() in came[0]
    assert f"X-Request-Id: {told}\r\n".encode() in came[0]
    assert not [word for word in (key.encode(), b"ookie", b"mine") if word in came[0]]


@pytest.mark.parametrize("path", STRANGE)
def test_nothing_else_of_an_engine_is_reached(bed: Bed, path: str) -> None:
    for method in ("GET", "POST"):
        refused = bed.gateway.ask(method, path, STACK_KEY, {"model": "demo-tiny", "content": "x"})
        assert (refused.status, refused.error["code"]) == (404, "unknown_url"), path


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions/../../metrics",
        "/v1/models/%2e%2e/%2e%2e/metrics",
        "/v1//../slots",
        "/v1/models/../../props?x=1",
    ],
)
def test_nor_by_a_path_that_is_read_in_two_ways(bed: Bed, path: str) -> None:
    assert bed.gateway.ask("GET", path, STACK_KEY).error["code"] == "unknown_url"


def test_a_route_of_inference_takes_nothing_but_a_post(bed: Bed) -> None:
    for route in ROUTES:
        refused = bed.gateway.ask("GET", route, STACK_KEY)
        assert (refused.status, refused.headers["Allow"]) == (405, "POST")


def test_a_body_that_is_too_large_is_refused_and_a_large_one_is_not(bed: Bed) -> None:
    said = json.dumps(chat("demo-tiny")).encode()
    large = said[:-1] + b', "user": "' + b"x" * (6 << 20) + b'"}'
    assert bed.gateway.ask("POST", "/v1/chat/completions", STACK_KEY, large).status == 200
    headers = {"Authorization": f"Bearer {STACK_KEY}", "Content-Length": str(65 << 20)}
    with closing(bed.gateway.connection()) as connection:
        connection.request("POST", "/v1/chat/completions", body=b"", headers=headers)
        with connection.getresponse() as response:
            assert response.status == 413
            assert json.loads(response.read())["error"]["code"] == "request_too_large"


def test_a_body_that_comes_in_pieces_is_read_whole(bed: Bed) -> None:
    said = json.dumps(chat("other")).encode()
    pieces = (said[start : start + 50] for start in range(0, len(said), 50))
    headers = {"Authorization": f"Bearer {STACK_KEY}"}
    with closing(bed.gateway.connection()) as connection:
        connection.request("POST", "/v1/chat/completions", body=pieces, headers=headers, encode_chunked=True)
        with connection.getresponse() as response:
            assert json.loads(response.read())["model"] == "other"


def test_several_requests_share_a_connection_of_http_2(bed: Bed) -> None:
    told = ["--silent", "--http2", "--insecure", "--write-out", "%{http_version} %{http_code} %{num_connects}\\n"]
    asked = ["--output", "/dev/null", "--header", f"Authorization: Bearer {STACK_KEY}"]
    once = [
        *told,
        *asked,
        "--data",
        json.dumps(chat("other", stream=True)),
        "https://127.0.0.1:8443/v1/chat/completions",
    ]
    words = [*bed.gateway.compose, "exec", "-T", "gateway", "curl", *once, "--next", *once]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["2 200 1", "2 200 0"]


def test_the_log_says_who_asked_what_and_never_what_was_said(bed: Bed, key: str) -> None:
    document = bed.gateway.chat("other", key).document
    rest(begin(bed, key, tokens=5))
    bed.gateway.chat("a model with a secret name", key)
    lines = [line for line in bed.gateway.log() if line["key"] == "alice"]
    assert [(line["model"], line["status"]) for line in lines[-3:]] == [("other", 200), ("demo-tiny", 200), ("", 404)]
    whole = lines[-3]
    assert whole["prompt_tokens"] == document["usage"]["prompt_tokens"]
    assert whole["completion_tokens"] == 8
    assert 0 < whole["first_byte_seconds"] <= whole["seconds"] + 0.001
    assert whole["bytes_out"] > len(json.dumps(document)) // 2
    words = bed.gateway.words()
    content = document["choices"][0]["message"]["content"].strip()
    for secret in ("the words that nobody logs", content, key, STACK_KEY, "a model with a secret name"):
        assert secret not in words


def test_the_gateway_says_how_it_is_only_inside(bed: Bed) -> None:
    words = [*bed.gateway.compose, "exec", "-T", "gateway", "curl", "-s", "http://127.0.0.1:9145/metrics"]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    numbers = dict(line.rsplit(" ", 1) for line in told.splitlines() if not line.startswith("#"))
    assert int(numbers['provision_gateway_connections{state="active"}']) >= 1
    days = (float(numbers["provision_gateway_certificate_expires_seconds"]) - time.time()) / 86400
    assert 396 < days < 398
    ports = subprocess.run(
        [*bed.gateway.compose, "port", "gateway", "9145"], capture_output=True, text=True, check=False
    )
    assert ":0" in ports.stdout or ports.returncode


def test_those_who_make_keys_at_the_same_time_lose_none(bed: Bed) -> None:
    names = ("dora", "emil", "fritz")
    with ThreadPoolExecutor() as hands:
        secrets = list(hands.map(bed.gateway.create, names))
    assert [bed.gateway.ask("GET", "/v1/models", secret).status for secret in secrets] == [200] * 3
    with ThreadPoolExecutor() as hands:
        list(hands.map(bed.gateway.revoke, names))
    log = Path(bed.gateway.stack.place.state, "logs/keys.log").read_text().splitlines()
    told = [json.loads(line) for line in log if json.loads(line)["key"] in names]
    assert [each["did"] for each in told] == ["create"] * 3 + ["revoke"] * 3
    assert {each["uid"] for each in told} == {os.getuid()}
