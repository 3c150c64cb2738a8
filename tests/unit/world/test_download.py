"""A download against a hub that drops, lies, fails and is killed: in the end the right bytes, or a clear reason."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from provisioner.errors import RunFailed
from provisioner.model.plan import WeightFile
from provisioner.weights import hubs
from provisioner.world.download import Journal, Offer, Pace, Transfer, download, insist_on_room
from tests.hub import Hub, serving

NAME = "acme/tiny-GGUF/folder/tiny-Q4_K_M.gguf"
CONTENT = hashlib.shake_256(b"weights").digest(3_000_001)
PACE = Pace(block=128 << 10, blocks_each=4, workers=3, tries=3, pause=0.01, longest_pause=0.02)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub({NAME: CONTENT})) as hub:
        yield hub


def fetch(hub: Hub, folder: object, pace: Pace = PACE, size: int = len(CONTENT), sha256: str = "") -> str:
    origin = hubs.origin_of(hubs.Place(hub.url, "acme/tiny-GGUF", "folder/tiny-Q4_K_M.gguf"))
    file = WeightFile("tiny-Q4_K_M.gguf", size, sha256 or hub.sha256(NAME), origin)
    return download(hubs.url_of(origin), file, str(folder), lambda _done, _total: None, pace)


def only_the_blob(folder: object) -> bytes:
    names = os.listdir(str(folder))
    assert names == [hashlib.sha256(CONTENT).hexdigest()]
    with open(f"{folder}/{names[0]}", "rb") as file:
        return file.read()


def test_whole_file_in_parallel_ranges(hub: Hub, tmp_path: object) -> None:
    seen: list[tuple[int, int]] = []
    file = WeightFile("x.gguf", len(CONTENT), hub.sha256(NAME), "")
    download(f"{hub.url}/acme/tiny-GGUF/resolve/main/folder/tiny-Q4_K_M.gguf", file, str(tmp_path),
             lambda done, total: seen.append((done, total)), PACE)  # fmt: skip
    assert only_the_blob(tmp_path) == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)
    assert hub.sent == len(CONTENT) + 1


def test_redirects_are_followed(hub: Hub, tmp_path: object) -> None:
    hub.faults.redirects = True
    fetch(hub, tmp_path)
    assert only_the_blob(tmp_path) == CONTENT


def test_drops_are_mended_without_sending_anything_twice(hub: Hub, tmp_path: object) -> None:
    hub.faults.drops = 4
    fetch(hub, tmp_path)
    assert only_the_blob(tmp_path) == CONTENT
    assert hub.sent <= len(CONTENT) + 1


def test_a_busy_server_is_asked_again(hub: Hub, tmp_path: object) -> None:
    hub.faults.errors = 2
    fetch(hub, tmp_path)
    assert only_the_blob(tmp_path) == CONTENT


def test_a_server_that_stays_busy_is_given_up(hub: Hub, tmp_path: object) -> None:
    hub.faults.errors = 1000
    with pytest.raises(RunFailed, match="status 500"):
        fetch(hub, tmp_path)


def test_a_server_without_ranges(hub: Hub, tmp_path: object) -> None:
    hub.faults.ranges = False
    hub.faults.drops = 2
    fetch(hub, tmp_path)
    assert only_the_blob(tmp_path) == CONTENT


def test_wrong_bytes_are_thrown_away(hub: Hub, tmp_path: object) -> None:
    hub.faults.wrong_bytes = True
    with pytest.raises(RunFailed, match="sha256") as caught:
        fetch(hub, tmp_path)
    assert os.listdir(str(tmp_path)) == []
    assert "another source" in caught.value.fix


def test_bytes_of_another_range_do_not_pass(hub: Hub, tmp_path: object) -> None:
    hub.faults.lies_in_range = True
    with pytest.raises(RunFailed, match="sha256"):
        fetch(hub, tmp_path)


def test_a_file_replaced_meanwhile_is_noticed(hub: Hub, tmp_path: object) -> None:
    hub.faults.replace_after = 3
    with pytest.raises(RunFailed, match="replaced at its source"):
        fetch(hub, tmp_path)
    assert os.listdir(str(tmp_path)) == []


def test_another_size_than_listed_is_refused_before_anything_is_fetched(hub: Hub, tmp_path: object) -> None:
    with pytest.raises(RunFailed, match="were listed"):
        fetch(hub, tmp_path, size=17)
    assert hub.sent <= 1


@pytest.mark.parametrize(("status", "words"), [(401, "HF_TOKEN"), (403, "HF_TOKEN"), (404, "another source")])
def test_refusals_name_the_remedy(hub: Hub, tmp_path: object, status: int, words: str) -> None:
    hub.faults.status = status
    with pytest.raises(RunFailed) as caught:
        fetch(hub, tmp_path)
    assert words in caught.value.fix


def test_no_network_names_the_three_ways(tmp_path: object) -> None:
    nobody = Hub({NAME: CONTENT}, port=9)
    with pytest.raises(RunFailed, match=r"127\.0\.0\.1: cannot be reached for tiny-Q4_K_M\.gguf") as caught:
        fetch(nobody, tmp_path)
    assert all(way in caught.value.fix for way in ("--weights DIR", "--source", "copy"))


def test_too_little_room_is_said_before_anything_is_fetched(tmp_path: object) -> None:
    with pytest.raises(RunFailed, match="GiB are free"):
        insist_on_room(str(tmp_path), f"{tmp_path}/x.part", 1 << 60, "x.gguf")


def test_what_an_earlier_attempt_had_is_kept(hub: Hub, tmp_path: object) -> None:
    hub.faults.fail_after = 4
    with pytest.raises(RunFailed, match="status 500"):
        fetch(hub, tmp_path)
    assert any(name.endswith(".part") for name in os.listdir(str(tmp_path)))
    hub.faults.fail_after, before = 0, hub.sent
    fetch(hub, tmp_path)
    assert only_the_blob(tmp_path) == CONTENT
    assert 0 < hub.sent - before < len(CONTENT)


PROGRAM = """
import sys
from provisioner.model.plan import WeightFile
from provisioner.world.download import Pace, download
url, size, sha256, folder = sys.argv[1:]
download(url, WeightFile("tiny.gguf", int(size), sha256, ""), folder, lambda d, t: None, Pace(128 << 10, 4, 3))
"""


@pytest.mark.parametrize("moment", [0.15, 0.3])
def test_killed_and_resumed_sends_at_most_a_block_of_each_worker_again(
    hub: Hub, tmp_path: object, moment: float
) -> None:
    hub.faults.seconds_a_chunk = 0.005
    url = f"{hub.url}/acme/tiny-GGUF/resolve/main/folder/tiny-Q4_K_M.gguf"
    argv = [sys.executable, "-c", PROGRAM, url, str(len(CONTENT)), hub.sha256(NAME), str(tmp_path)]
    running = subprocess.Popen(argv)
    while not any(name.endswith(".journal") for name in os.listdir(str(tmp_path))):
        time.sleep(0.01)
    time.sleep(moment)
    running.send_signal(signal.SIGKILL)
    running.wait()
    time.sleep(0.1)
    journal = next(name for name in os.listdir(str(tmp_path)) if name.endswith(".journal"))
    with open(f"{tmp_path}/{journal}", encoding="ascii") as file:
        noted = len(file.readlines()) - 1
    hub.faults.seconds_a_chunk, hub.sent = 0.0, 0
    fetch(hub, tmp_path)
    assert only_the_blob(tmp_path) == CONTENT
    # All that was noted is not sent again: besides the first byte, which is asked for once, only what was missing.
    assert hub.sent <= len(CONTENT) - noted * (128 << 10) + 1 + (128 << 10)
    assert noted > 0


def test_a_line_torn_by_a_power_cut_is_no_promise(tmp_path: object) -> None:
    offer, part = Offer(1000, '"one"', ranges=True), f"{tmp_path}/x.part"
    with Journal(part, offer, 10) as journal:
        journal.note(3)
        os.write(journal.notes, b"7")
    with Journal(part, offer, 10) as again:
        assert again.done == {3}
        assert again.had_bytes() == 10
    with Journal(part, Offer(1000, '"two"', ranges=True), 10) as other:
        assert other.done == set()


def test_missing_blocks_become_runs(tmp_path: object) -> None:
    with Journal(f"{tmp_path}/x.part", Offer(95, "", ranges=True), 10) as journal:
        journal.note(2)
        journal.note(3)
        assert journal.missing(3) == [(0, 2), (4, 7), (7, 10)]


def test_a_disk_that_fills_up_meanwhile_is_told_with_its_path(hub: Hub, tmp_path: object) -> None:
    part = f"{tmp_path}/x.part"
    offer = Offer(len(CONTENT), '"one"', ranges=True)
    url = f"{hub.url}/acme/tiny-GGUF/resolve/main/folder/tiny-Q4_K_M.gguf"
    with Journal(part, offer, PACE.block) as journal:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, journal.part)
        os.close(full)
        with pytest.raises(OSError, match="No space left") as caught:
            Transfer(url, "x.gguf", offer, journal, PACE, lambda _done, _total: None).run()
    assert caught.value.filename == part
