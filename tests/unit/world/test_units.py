"""Which units in a folder are ours, read from real folders."""

import os
from pathlib import Path

import pytest

from provisioner.model.plugins import Place
from provisioner.world import units

UNIT = "provision-llm.service"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "units").mkdir()
    return Place(str(tmp_path / "state"), "/usr/bin/python3", str(tmp_path / "units"), user_manager=True)


def test_a_unit_with_the_mark_of_this_state_is_ours(place: Place) -> None:
    Path(place.unit_folder, UNIT).write_text(place.mark + "[Unit]\n")
    assert units.ours(place) == [(UNIT, place.mark + "[Unit]\n")]
    assert units.service_manager(place).others == ()


@pytest.mark.parametrize("content", [b"[Unit]\n", b"\xff\xfe", b"# made by provision\n# state: /another\n"])
def test_any_other_of_that_name_is_not(place: Place, content: bytes) -> None:
    Path(place.unit_folder, UNIT).write_bytes(content)
    assert units.ours(place) == []
    assert units.service_manager(place).others == (UNIT,)


def test_a_folder_of_settings_beside_a_unit_and_names_like_ours_are_passed_over(place: Place) -> None:
    Path(place.unit_folder, f"{UNIT}.d").mkdir()
    Path(place.unit_folder, "provisioning.service").write_text(place.mark)
    assert units.ours(place) == []
    assert units.service_manager(place).others == ()


def test_links_that_start_a_unit_with_the_machine(place: Place) -> None:
    wants = Path(place.unit_folder, "default.target.wants")
    wants.mkdir()
    (wants / UNIT).symlink_to(f"{place.unit_folder}/{UNIT}")
    (wants / "ssh.service").symlink_to("/usr/lib/systemd/system/ssh.service")
    assert units.enabled(place) == [f"default.target.wants/{UNIT}"]
    Path(place.unit_folder, UNIT).write_text("somebody else's")
    assert units.enabled(place) == []
    Path(place.unit_folder, UNIT).write_text(place.mark)
    assert units.enabled(place) == [f"default.target.wants/{UNIT}"]


def test_a_folder_that_is_not_there_yet_holds_nothing_and_can_be_made(place: Place) -> None:
    os.rmdir(place.unit_folder)
    assert units.ours(place) == []
    assert units.enabled(place) == []
    assert units.service_manager(place).writable


def test_a_file_in_the_place_of_the_folder_is_not_writable(place: Place) -> None:
    os.rmdir(place.unit_folder)
    Path(place.unit_folder).write_text("")
    assert not units.service_manager(place).writable


def test_what_a_killed_run_left_half_written(place: Place) -> None:
    for name in (f"{UNIT}.tmp", "provision.slice.tmp", "sshd.service.tmp", UNIT):
        Path(place.unit_folder, name).write_text(place.mark)
    assert units.half_made(place) == [f"{place.unit_folder}/{UNIT}.tmp", f"{place.unit_folder}/provision.slice.tmp"]
