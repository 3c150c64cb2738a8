"""What is refused: one message, a remedy, the exit code of the contract, and nothing changed that stands."""

import contextlib
import hashlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provisioner.model.release import Running
from provisioner.world import processes, tinymodel
from provisioner.world.database import SCHEMA
from tests.e2e.appliance import Appliance
from tests.e2e.conftest import Installation
from tests.hub import Faults, Hub, serving
from tests.ports import free_port

pytestmark = [pytest.mark.needs("embedded")]

NOBODY = 65534
Done = subprocess.CompletedProcess[str]


@pytest.fixture
def appliance(tmp_path: Path) -> Iterator[Appliance]:
    appliance = Appliance(str(tmp_path / "state"))
    yield appliance
    appliance.end()


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """A release in force, with a few runs behind it, that nothing in a test may touch."""
    appliance = Appliance(str(tmp_path_factory.mktemp("standing") / "state"))
    appliance.ok("up")
    yield appliance
    appliance.end()


def snapshot(appliance: Appliance) -> tuple[dict[str, str], list[str], tuple[Running, ...]]:
    """Every file with its bytes, the database as SQL, and the processes; only the lock and the engine's log may differ."""
    files: dict[str, str] = {}
    for folder, folders, names in os.walk(appliance.state):
        files.update(
            {os.path.join(folder, name): oct(os.lstat(os.path.join(folder, name)).st_mode) for name in folders}
        )
        for path in (os.path.join(folder, name) for name in names):
            if not path.startswith(
                (f"{appliance.state}/lock", f"{appliance.state}/state.db", f"{appliance.state}/logs")
            ):
                with open(path, "rb") as stream:
                    files[path] = hashlib.sha256(stream.read()).hexdigest()
    return files, _rows(f"{appliance.state}/state.db"), processes.running(appliance.state)


def _rows(path: str) -> list[str]:
    if not os.path.isfile(path):
        return []
    with contextlib.closing(sqlite3.connect(path)) as database:
        return list(database.iterdump())


def told(done: Done, code: int, *phrases: str) -> str:
    """The remedy of the one error that was told in the way that the contract says."""
    assert done.returncode == code, f"{done.returncode}: {done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    lines = done.stderr.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    fixes = [line for line in lines if line.startswith("fix: ")]
    assert len(errors) == len(fixes) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "mistake of provision" not in done.stderr
    for phrase in phrases:
        assert phrase in done.stderr, done.stderr
    if done.stdout:
        document = json.loads(done.stdout)
        assert document["schema"] == "provision.error/1"
        assert document["exit_code"] == code
        assert document["fix"]
    return fixes[0].removeprefix("fix: ")


WORDS = [
    (("--profile", "standart"), 2, ("unknown profile `standart`", "did you mean `standard`?")),
    (("--profile", "标准"), 2, ("unknown profile `标准`", "one of auto, basic, demo")),
    (("--profile", ""), 2, ("`--profile` was given an empty value",)),
    (("--profile", "de\x1b[31mmo\nfix: rm -rf /"), 2, ("unknown profile",)),
    (("--profile", "\udcff\udcfe"), 2, ("unknown profile",)),
    (("--profil", "demo"), 2, ("`--profil` is not an option", "did you mean `--profile`")),
    (("--profile",), 2, ("`--profile` needs a value",)),
    (("--engine", "vlm"), 2, ("unknown engine `vlm`", "did you mean `vllm`?")),
    (("--target", "sytemd"), 2, ("unknown target `sytemd`", "did you mean `systemd`?")),
    (("--precision", "q4km"), 2, ("unknown precision `q4km`", "did you mean `q4_k_m`")),
    (("--precision", "q4_k_m"), 3, ("no GGUF of provision demo as q4_k_m is known (known: f16)", "--precision f16")),
    (("--model", "qwen3-8bb"), 2, ("unknown model `qwen3-8bb`", "did you mean `qwen3-8b`")),
    (("--set", "prot=8001"), 2, ("unknown setting `prot`", "did you mean `port`?")),
    (("--set", "engine.thread=3"), 2, ("unknown setting `engine.thread`", "`engine.threads`")),
    (("--set", "port"), 2, ("not of the form key=value",)),
    (("--set", "port=0"), 2, ("`0` is not a whole number above 0", "--set port=8001")),
    (("--set", "port=-1"), 2, ("`-1` is not a whole number above 0",)),
    (("--set", "port=70000"), 2, ("port 70000 does not exist",)),
    (("--set", "port=" + "9" * 5000), 2, ("more than 15 digits",)),
    (("--set", "port=٨٠٨٠"), 2, ("`٨٠٨٠` is not a whole number",)),
    (("--set", "threads=many"), 2, ("`many` is not a whole number",)),
    (("--set", "threads=100000"), 2, ("512 threads at most",)),
    (("--set", "engine.threads=many"), 2, ("engine.threads: `many` is not a whole number",)),
    (("--set", "engine.numa=on"), 2, ("unknown NUMA policy `on`", "distribute")),
    (("--set", "cpus=a-b"), 2, ("cpus: `a-b` is no list of CPUs",)),
    (("--set", "cpus=9000"), 3, ("bound to processors that are not there or not ours to use: 9000", "--set cpus=")),
    (("--set", "cpus=0-999999999999"), 2, ("is not a range of CPUs",)),
    (("--context", "0"), 2, ("`0` is not a whole number above 0", "--context 4096")),
    (("--context=-5",), 2, ("`-5` is not a whole number above 0",)),
    (("--context", "1.5k"), 2, ("`1.5k` is not a whole number",)),
    (("--context", "9" * 5000), 2, ("more than 15 digits",)),
    (("--context", "100k"), 3, ("102400 tokens of context, and provision demo was trained for 4096", "--context 4096")),
    (("--concurrency", "0"), 2, ("`0` is not a whole number above 0", "--concurrency 4")),
    (("--concurrency", "-1"), 2, ("is not a whole number above 0",)),
    (("--concurrency", "1000000000"), 3, ("KV cache", "--concurrency")),
    (("--listen", "0.0.0.0"), 2, ("an engine listens on loopback only", "ssh -L")),
    (("--listen", "::"), 2, ("an engine listens on loopback only",)),
    (("--listen", "127.x"), 2, ("an engine listens on loopback only",)),
    (("--source", "hugingface"), 2, ("`hugingface` is no source of weights", "--source huggingface")),
    (("--weights", "/nowhere/at/all", "--profile", "lite"), 2, ("/nowhere/at/all: there is no such file or folder",)),
    (("--wait", "-1"), 2, ("is not a whole number above 0",)),
    (("--hardware", "2x RTX 4090"), 2, ("is not an option of `provision up`", "provision plan --hardware")),
    (("demo",), 2, ("does not expect `demo`",)),
    (("-f", "/nowhere.yaml"), 2, ("/nowhere.yaml: cannot be read: No such file or directory",)),
    (("-f", "/"), 2, ("cannot be read: Is a directory",)),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code", "phrases"), WORDS, ids=[" ".join(case[0])[:40] for case in WORDS])
def test_words_that_cannot_be_meant(
    standing: Appliance, words: tuple[str, ...], code: int, phrases: tuple[str, ...]
) -> None:
    before = snapshot(standing)
    fix = told(standing.run("up", "--json", *words), code, *phrases)
    assert fix != "rm -rf /"
    assert snapshot(standing) == before


DOCUMENTS = [
    (b"profile: demo\ncontext: [1, 2\nx: y\n", ".yaml:3: this is not YAML", "key: value"),
    (b"profile: demo\n\tcontext: 3\n", ".yaml:2: this is not YAML", "key: value"),
    (b"profile: !!python/object/apply:os.system ['id']\n", ".yaml:1: this is not YAML", "key: value"),
    (b"profile: demo\n---\nprofile: lite\n", ".yaml:2: this is not YAML", "key: value"),
    (b"profile: demo\ncontex: 3\n", "unknown key `contex`", "did you mean `context`?"),
    (b"zzzzz: 3\n", "unknown key `zzzzz`", "known keys: profile"),
    (b"- a\n- b\n", "expected `key: value` lines, found a list", "profile: standard"),
    (b"profile: 3\n", "profile: expected text, found int `3`", "profile: standard"),
    (b"profile:\n", "profile: expected text, found nothing", "profile: standard"),
    (b"profile: demo\ncontext: many\n", "context: `many` is not a whole number", "context: 8192"),
    (b"profile: demo\ncontext: yes\n", "context: expected a whole number, found bool", "context: 8192"),
    (b"profile: demo\nconcurrency: -4\n", "concurrency: `-4` is not a whole number", "concurrency"),
    (b"profile: demo\nsettings: [1]\n", "settings: expected `key: value` lines", "settings: {port: 8001}"),
    (b"profile: demo\nsettings: {prot: 3}\n", "unknown setting `prot`", "did you mean `port`?"),
    (b"profile: demo\nsettings: {engine: {threads: 3}}\n", "settings: engine: expected one value", "settings: {port"),
    (b"[" * 3000, "it is nested too deeply", "key: value"),
    (b"context: " + b"9" * 5000, "Exceeds the limit", "key: value"),
    (b"profile: \x07demo\n", "special characters are not allowed", "key: value"),
    (b"\xff\xfe\x00profile", "it is not UTF-8 text", "save it as UTF-8"),
]


@pytest.mark.parametrize(("content", "phrase", "fix"), DOCUMENTS, ids=[str(case[1]) for case in DOCUMENTS])
def test_a_deployment_file_that_cannot_be_meant(
    standing: Appliance, tmp_path: Path, content: bytes, phrase: str, fix: str
) -> None:
    path = tmp_path / "site.yaml"
    path.write_bytes(content)
    before = snapshot(standing)
    assert fix in told(
        standing.run("up", "--json", "-f", str(path)), 2, str(path) if "setting `" not in phrase else "", phrase
    )
    assert snapshot(standing) == before


HARDWARE = [
    ("2x RTX 4909", "`RTX 4909` is no known accelerator", "`rtx4090-24g`"),
    ("asdkjh qwe", "`asdkjh qwe` is no known accelerator", "did you mean"),
    (",,,", "describes no machine", "--hardware"),
    ("0x RTX 4090", "a count from 1 to 64", "--hardware"),
    ("1000000x RTX 4090", "a count from 1 to 64", "--hardware"),
    ("1000000 sockets", "a whole number from 1 to 64", "--hardware"),
    ("999999999999 cores", "a whole number from 1 to 8192", "--hardware"),
    ("9" * 400 + " GiB", "no machine has that much", "--hardware"),
    ("0 GiB", "no machine has that much or that little", "--hardware"),
    ("2x RTX 4090, nvlink=maybe", "`nvlink=maybe` was not understood", "nvlink=yes"),
    ("8x A100", "may be a100-40g", "name one of them"),
    ("/nowhere.json", "/nowhere.json: No such file or directory", "detect --json"),
    ("/", "Is a directory", "detect --json"),
]


@pytest.mark.parametrize(("text", "phrase", "fix"), HARDWARE, ids=[case[0][:24] for case in HARDWARE])
def test_hardware_in_words(standing: Appliance, text: str, phrase: str, fix: str) -> None:
    began = time.monotonic()
    assert fix in told(standing.run("plan", "--json", "--hardware", text), 2, phrase)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        ("", "this is no JSON document"),
        ('{"schema":', "this is no JSON document"),
        ("[" * 100_000, "this is no JSON document"),
        ("[]", "expected a JSON object, found list"),
        ('{"schema": "provision.facts/9"}', "schema is 'provision.facts/9', expected 'provision.facts/1'"),
        ('{"schema": "provision.facts/1"}', "'unknown' is missing"),
    ],
)
def test_hardware_in_a_file(standing: Appliance, tmp_path: Path, content: str, phrase: str) -> None:
    path = tmp_path / "facts.json"
    path.write_text(content)
    assert "provision detect --json" in told(standing.run("plan", "--json", "--hardware", str(path)), 2, phrase)


def test_hardware_whose_facts_have_another_type(standing: Appliance, tmp_path: Path) -> None:
    document = standing.json("detect")
    document["cpu"]["cores"] = "two"
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(document))
    told(standing.run("plan", "--json", "--hardware", str(path)), 2, "cpu.cores: expected int, found str")


def _cut(count: int) -> Callable[[bytes], bytes]:
    return lambda model: model[:count]


FILES: list[tuple[str, Callable[[bytes], bytes], int, str]] = [
    ("empty.gguf", _cut(0), 3, "too short"),
    ("head.gguf", _cut(1000), 3, "the file is cut short"),
    ("most.gguf", _cut(-1), 3, "the file is cut short: its tensors end at byte"),
    ("pickle.gguf", lambda _: b"\x80\x04K\x01." * 99, 3, "it is no GGUF file"),
    ("pointer.gguf", lambda _: b"version https://git-lfs.github.com/spec/v1\n" * 3, 3, "it is no GGUF file"),
    ("old.gguf", lambda _: b"GGUF\1\0\0\0" + bytes(99), 3, "its GGUF version is 1"),
    ("model.safetensors", lambda _: b"\x08\0\0\0\0\0\0\0{}      ", 3, "bring the model as GGUF"),
    ("pytorch_model.bin", lambda _: b"PK\3\4", 3, "files of this kind can run code when they are loaded"),
]


@pytest.mark.parametrize(("name", "damage", "code", "phrase"), FILES, ids=[case[0] for case in FILES])
def test_a_file_that_is_no_whole_gguf(
    standing: Appliance, tmp_path: Path, name: str, damage: Callable[[bytes], bytes], code: int, phrase: str
) -> None:
    path = tmp_path / name
    path.write_bytes(damage(tinymodel.model_bytes()))
    before = snapshot(standing)
    told(standing.run("up", "--json", "--model", str(path)), code, f"{path} cannot be used", phrase)
    assert snapshot(standing) == before


def test_a_model_that_is_no_file(standing: Appliance, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    before = snapshot(standing)
    told(standing.run("up", "--json", "--model", str(tmp_path / "none.gguf")), 2, "none.gguf: No such file")
    told(standing.run("up", "--json", "--model", str(tmp_path)), 2, "this is a folder: name the GGUF file in it")
    told(standing.run("up", "--json", "--model", str(tmp_path / "pipe.gguf")), 2, "this is no regular file")
    assert snapshot(standing) == before


def test_a_port_that_a_stranger_has(standing: Appliance) -> None:
    before = snapshot(standing)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        refused = standing.run("up", "--json", "--set", f"port={port}")
        fix = told(refused, 3, f"port {port} is taken by", f"(process {os.getpid()})")
    assert "--set port=" in fix
    assert snapshot(standing) == before


def test_no_network_names_the_three_ways_and_leaves_the_release_serving(appliance: Appliance) -> None:
    appliance.ok("up")
    files, _, serving_now = snapshot(appliance)
    fix = told(
        appliance.run("up", "--profile", "lite", "--source", "http://127.0.0.1:9"), 1, "127.0.0.1: cannot be reached"
    )
    assert all(way in fix for way in ("--weights DIR", "--source https://HOST", "HTTPS_PROXY"))
    assert snapshot(appliance)[0] == files
    assert snapshot(appliance)[2] == serving_now
    appliance.ok("check")


def test_paths_that_no_state_can_have(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for path, code, phrase in (
        (f"{tmp_path}/file", 2, "this is a file, and the state is a folder"),
        (f"{tmp_path}/file/below", 2, "Not a directory"),
        ("/dev/null", 2, "this is a file"),
        (f"{tmp_path}/{'a' * 300}", 2, "File name too long"),
        (f"{tmp_path}/a\nb", 2, "control characters"),
        ("/proc/provision", 3, "/proc/provision"),
        ("/sys/provision", 3, "/sys/provision"),
    ):
        assert "--state-dir" in told(Appliance(path).run("up", "--json"), code, phrase) or code == 2
        if code == 2:
            for verb in ("status", "history", "check", "logs", "rollback", "down"):
                told(Appliance(path).run(verb, "--json"), code, phrase)
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_state_folder_with_an_awkward_name(tmp_path: Path) -> None:
    """Relative, with blanks, quotes, a dollar and a percent sign."""
    appliance = Appliance('it\'s "my" $HOME 100%n 状态')
    (tmp_path / appliance.state).mkdir()
    there = Appliance(str(tmp_path / appliance.state), appliance.port)
    try:
        appliance.ok("up", cwd=tmp_path)
        appliance.ok("check", cwd=tmp_path)
        assert there.keeper()
        appliance.ok("down", "--purge", cwd=tmp_path)
    finally:
        there.end()
    assert os.listdir(tmp_path) == []


DAMAGES: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("garbage", lambda _: os.urandom(20_000)),
    ("torn in the middle", lambda whole: whole[:4096] + b"\xa5" * 8192 + whole[12_288:]),
    ("half", lambda whole: whole[: len(whole) // 2 + 100]),
    ("nothing", lambda _: b""),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGES, ids=[case[0] for case in DAMAGES])
def test_a_damaged_database(appliance: Appliance, name: str, damage: Callable[[bytes], bytes]) -> None:
    """Told by every verb, and its remedy finds what runs and keeps it."""
    appliance.ok("up")
    engine = appliance.engine()
    path = Path(appliance.state, "state.db")
    path.write_bytes(damage(path.read_bytes()))
    Path(f"{path}-wal").write_bytes(os.urandom(8000))
    broken = path.read_bytes()
    for verb in ("status", "history", "check", "plan", "up", "down", "rollback"):
        fix = told(appliance.run(verb, "--json"), 3, f"{path}: the state database is damaged")
    assert path.read_bytes() == broken
    assert appliance.engine() == engine
    command, _, then = fix.partition("   and then ")
    assert then.startswith(f"`provision up --state-dir {appliance.state}`")
    subprocess.run(["sh", "-c", command], check=True)
    appliance.ok("up")
    appliance.ok("check")
    assert appliance.engine() == engine


def test_a_database_of_a_newer_version(appliance: Appliance) -> None:
    appliance.ok("up")
    engine = appliance.engine()
    with contextlib.closing(sqlite3.connect(f"{appliance.state}/state.db")) as database:
        database.execute("PRAGMA user_version = 9")
    before = snapshot(appliance)
    for verb in ("status", "history", "check", "plan", "up", "down", "rollback"):
        fix = told(
            appliance.run(verb, "--json"),
            3,
            f"written by a newer version of provision (state 9, this one knows {SCHEMA})",
        )
        assert "upgrade provision" in fix
    assert snapshot(appliance) == before
    assert appliance.engine() == engine


@pytest.mark.parametrize("content", [None, "{", "[]", '{"profile": 3}'])
def test_a_release_whose_files_were_changed_is_written_anew(appliance: Appliance, content: str | None) -> None:
    appliance.ok("up")
    engine, plan = appliance.engine(), Path(appliance.state, "releases", appliance.release(), "plan.json")
    if content is None:
        shutil.rmtree(plan.parent)
    else:
        plan.write_text(content)
    for verb in ("status", "check"):
        assert told(appliance.run(verb, "--json"), 3, "the release in force is damaged").startswith("provision up")
    appliance.ok("up")
    appliance.ok("check")
    assert appliance.engine() == engine


def flip(path: str | Path) -> None:
    """Change one byte of the weights in place, as a tool that edits a model does: size and inode stay."""
    with open(path, "r+b") as stream:
        stream.seek(-100, os.SEEK_END)
        byte = stream.read(1)
        stream.seek(-100, os.SEEK_END)
        stream.write(bytes([byte[0] ^ 0xFF]))


def sha256(path: str | Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_a_blob_that_was_changed_is_brought_again(appliance: Appliance) -> None:
    appliance.ok("up")
    engine, blob = appliance.engine(), f"{appliance.state}/blobs/sha256/{tinymodel.sha256()}"
    flip(blob)
    assert any("llama" not in line and "demo" in line for line in appliance.json("plan")["actions"])
    appliance.ok("up")
    (link,) = Path(appliance.state, "models").glob("*/*")
    assert sha256(blob) == sha256(link) == tinymodel.sha256()
    assert os.path.samefile(blob, link)
    assert appliance.engine() != engine, "the engine had mapped the changed bytes"
    assert appliance.json("up")["changed"] is False


def test_a_blob_that_was_only_touched_is_read_again_and_kept(appliance: Appliance) -> None:
    appliance.ok("up")
    engine, blob = appliance.engine(), f"{appliance.state}/blobs/sha256/{tinymodel.sha256()}"
    inode = os.stat(blob).st_ino
    os.utime(blob)
    appliance.ok("up")
    assert os.stat(blob).st_ino == inode
    assert appliance.engine() == engine


def test_an_operator_who_edits_their_file_gets_what_they_edited(tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    tinymodel.write(str(mine))
    appliance = Appliance(str(tmp_path / "state"), planned=("--model", str(mine)))
    try:
        appliance.ok("up")
        first = appliance.release()
        flip(mine)
        appliance.ok("up")
        assert appliance.release() != first
        assert Path(appliance.state, "blobs/sha256", sha256(mine)).exists()
        told(appliance.run("rollback", "--json"), 3, "the weights of release", "are gone or were changed: mine.gguf")
    finally:
        appliance.end()


def test_an_edited_file_that_contradicts_its_hash_is_refused(tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    tinymodel.write(str(mine))
    Path(f"{mine}.sha256").write_text(f"{tinymodel.sha256()}  mine.gguf\n")
    appliance = Appliance(str(tmp_path / "state"), planned=("--model", str(mine)))
    try:
        appliance.ok("up")
        keeper = appliance.keeper()
        flip(mine)
        fix = told(appliance.run("up"), 2, f"{mine}: its sha256 is {sha256(mine)}, not {tinymodel.sha256()}")
        assert "sha256sum" in fix
        assert appliance.keeper() == keeper
        tinymodel.write(str(mine))
        appliance.ok("up")
        appliance.ok("check")
    finally:
        appliance.end()


@contextlib.contextmanager
def disk(folder: Path, size: str) -> Iterator[str]:
    """A file system of its own, in memory, of that size."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield str(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.needs("root")
def test_a_disk_that_is_too_small(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "64m") as folder:
        refused = Appliance(f"{folder}/state").run("up", "--json")
        fix = told(refused, 3, f"{folder} has 0.1 GiB free, and 0.5 GiB are needed")
        assert "--state-dir" in fix
        assert os.listdir(folder) == []


@pytest.mark.needs("root")
def test_a_disk_that_runs_full_in_the_middle(tmp_path: Path) -> None:
    """It shrinks to what is used while weights come in: the release before keeps serving, and room is all that is missing."""
    repository, file = "unsloth/DeepSeek-R1-Distill-Qwen-1.5B-GGUF", "DeepSeek-R1-Distill-Qwen-1.5B-Q4_K_M.gguf"
    model = tinymodel.model_bytes() + bytes(64 << 20)
    with disk(tmp_path / "disk", "2g") as folder:
        appliance = Appliance(f"{folder}/state")
        try:
            appliance.ok("up")
            files, _, serving_now = snapshot(appliance)
            hub = Hub({f"{repository}/{file}": model}, Faults(seconds_a_chunk=0.002))
            wanted = ("--profile", "lite", "--context", "4096")
            with serving(hub) as there:
                run = subprocess.Popen(
                    appliance.words("up", *wanted, "--source", there.url),
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
                )  # fmt: skip
                _until(lambda: any(path.stat().st_blocks > 1000 for path in Path(folder).rglob("*.part")))
                resize(folder, used(folder) + (1 << 20))
                _, err = run.communicate(timeout=60)
                told(subprocess.CompletedProcess(run.args, run.returncode, "", err), 1, "No space left on device")
                resize(folder, 2 << 30)
                kept = {path: content for path, content in snapshot(appliance)[0].items() if ".part" not in path}
                assert kept == files
                assert snapshot(appliance)[2] == serving_now
                appliance.ok("check")
                hub.faults.seconds_a_chunk = 0
                appliance.ok("up", *wanted, "--source", there.url)
        finally:
            appliance.end()


def used(folder: str) -> int:
    here = os.statvfs(folder)
    return (here.f_blocks - here.f_bfree) * here.f_frsize


def resize(folder: str, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.needs("root")
def test_a_disk_that_can_only_be_read(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "700m") as folder:
        appliance = Appliance(f"{folder}/state")
        try:
            appliance.ok("up")
            appliance.end()  # Its log is open, and keeps the disk from being made read-only.
            before = snapshot(appliance)
            subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
            for verb in ("up", "down", "rollback"):
                fix = told(appliance.run(verb, "--json"), 3, "read-only")
            assert appliance.json("status", code=1)["release"]
            subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
            assert snapshot(appliance) == before
            assert "remount" in fix
            appliance.ok("up")
        finally:
            subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
            appliance.end()


@pytest.fixture
def commons() -> Iterator[Path]:
    """A folder that every user can reach; those of pytest are for its own user alone."""
    folder = Path(tempfile.mkdtemp(prefix="refusals-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def as_nobody(appliance: Appliance, verb: str, *more: str, **environment: str) -> Done:
    words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *appliance.words(verb, *more)]
    return subprocess.run(
        words, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL, cwd="/",
        env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.needs("root")
def test_somebody_elses_state(commons: Path, for_everybody: Installation) -> None:
    """Root's folder, used by another user: readable or not, nothing is done, and it is said who may."""
    appliance = Appliance(str(commons / "state"), program=for_everybody.provision)
    try:
        appliance.ok("up")
        before = snapshot(appliance)
        for verb in ("up", "down", "rollback"):
            fix = told(as_nobody(appliance, verb, "--json"), 3, appliance.state)
            assert "--state-dir" in fix
        (commons / "state").chmod(0o700)
        for verb in ("status", "history", "check", "plan", "up", "down", "rollback", "logs"):
            told(as_nobody(appliance, verb, "--json"), 3, f"{appliance.state}: this user may not look into it")
        (commons / "state").chmod(0o755)
        assert snapshot(appliance) == before
    finally:
        appliance.end()


@pytest.mark.needs("root")
def test_weights_that_may_not_be_read(commons: Path, for_everybody: Installation) -> None:
    (commons / "mine").mkdir(0o700)
    tinymodel.write(str(commons / "mine" / "tiny.gguf"))
    tinymodel.write(str(commons / "tiny.gguf"))
    (commons / "tiny.gguf").chmod(0o600)
    appliance = Appliance(str(commons / "state"), program=for_everybody.provision)
    home = {"HOME": "/nonexistent"}
    refused = as_nobody(appliance, "plan", "--json", "--profile", "lite", "--weights", str(commons / "mine"), **home)
    told(refused, 2, f"{commons}/mine: Permission denied")
    refused = as_nobody(appliance, "plan", "--json", "--model", str(commons / "tiny.gguf"), **home)
    told(refused, 2, f"{commons}/tiny.gguf: Permission denied")
    assert not (commons / "state").exists()


@pytest.mark.needs("root")
@pytest.mark.parametrize("home", ["their own", "that of root"])
def test_an_ordinary_user_has_a_state_of_their_own(commons: Path, home: str, for_everybody: Installation) -> None:
    own = commons / "home"
    own.mkdir()
    os.chown(own, NOBODY, NOBODY)
    environment = {"HOME": str(own)} if home == "their own" else {"XDG_STATE_HOME": str(own / ".local/state")}
    appliance = Appliance(str(own / ".local/state/provision"), program=for_everybody.provision)
    program = appliance.words("up")[:1]
    prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    told_env = {name: value for name, value in os.environ.items() if name != "XDG_STATE_HOME"} | environment

    def run(*words: str) -> Done:
        return subprocess.run(
            [*prefix, *program, *words], capture_output=True, text=True, timeout=120, check=False, cwd="/",
            stdin=subprocess.DEVNULL, env=told_env,
        )  # fmt: skip

    try:
        up = run("up", "--profile", "demo", "--set", f"port={appliance.port}")
        assert up.returncode == 0, up.stderr
        assert os.stat(f"{appliance.state}/secrets/llm.key").st_mode & 0o777 == 0o600
        assert os.stat(f"/proc/{appliance.keeper()}").st_uid == NOBODY
        for verb in (("status",), ("check",), ("down", "--purge")):
            done = run(*verb)
            assert done.returncode == 0, done.stderr
        assert not os.path.exists(appliance.state)
    finally:
        appliance.end()


ENVIRONMENTS: list[dict[str, str | None]] = [
    {"HOME": None},
    {"HOME": "relative", "XDG_STATE_HOME": "also/relative"},
    {"TERM": "dumb", "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"COLUMNS": "0"},
    {"PATH": None},
    {"TZ": "Nowhere/Nothing"},
]


@pytest.mark.parametrize("changes", ENVIRONMENTS, ids=[" ".join(changes) for changes in ENVIRONMENTS])
def test_a_poor_environment(standing: Appliance, changes: dict[str, str | None]) -> None:
    environment = {**os.environ, **{name: value for name, value in changes.items() if value is not None}}
    for name in (name for name, value in changes.items() if value is None):
        environment.pop(name, None)
    before = snapshot(standing)[0]
    for verb in ("up", "status", "check", "history", "plan"):
        standing.ok(verb, env=environment)
    told(standing.run("up", "--json", "--profile", "标准", env=environment), 2, "unknown profile")
    assert snapshot(standing)[0] == before


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full"])
def test_streams_that_are_closed_or_full(standing: Appliance, closed: str) -> None:
    for verb in ("status", "up"):
        words = ["sh", "-c", f'"$@" {closed}', "sh", *standing.words(verb)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == (1 if "full" in closed else 0), done.stderr
        assert "Traceback" not in done.stderr
        assert "Exception" not in done.stderr


def test_the_key_is_nowhere_but_in_its_file(standing: Appliance) -> None:
    """Not even its beginning: in no output, no command line, no environment, and no file but the one."""
    secret = standing.key[:8]
    for words in (
        ("up",), ("up", "--json"), ("plan", "--json", "--explain"), ("status",), ("status", "--json"), ("check", "--json"),
        ("history", "--json"), ("logs",), ("up", "-v", "--set", "prot=3"), ("rollback", "--json"),
    ):  # fmt: skip
        done = standing.run(*words)
        assert secret not in done.stdout + done.stderr, words
    for pid in (standing.keeper(), standing.engine()):
        for name in ("cmdline", "environ"):
            assert secret.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
    holding = [
        path for path in Path(standing.state).rglob("*") if path.is_file() and secret.encode() in path.read_bytes()
    ]
    assert holding == [Path(standing.state, "secrets/llm.key")]


def test_a_remedy_is_followed_to_the_letter(appliance: Appliance) -> None:
    """The commands that refusals name work when they are run."""
    fix = told(appliance.run("up", "--context", "100k"), 3, "4096")
    assert "--context 4096" in fix
    appliance.ok("up", "--context", "4096")
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        told(appliance.run("up", "--set", f"port={stranger.getsockname()[1]}"), 3, "is taken by")
        appliance.ok("up", "--set", f"port={free_port()}")
