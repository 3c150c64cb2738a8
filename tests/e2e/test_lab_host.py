"""The machine that stands for a lab host is what the tests on it take it for."""

import pytest

from tests.e2e.containers import Container


@pytest.mark.needs("lab-host")
def test_it_has_systemd_our_program_and_no_network(lab_host: Container) -> None:
    assert lab_host.run("cat", "/proc/1/comm").stdout.strip() == "systemd"
    assert lab_host.run("ls", "/sys/class/net").stdout.split() == ["lo"]
    assert lab_host.run("provision", "--version").stdout.startswith("provision ")


@pytest.mark.needs("lab-host")
def test_an_ordinary_user_can_have_a_manager_that_outlives_the_login(lab_host: Container) -> None:
    lab_host.run("loginctl", "enable-linger", "lab")
    lab_host.run("sh", "-c", "until test -S /run/user/1001/bus; do sleep 0.1; done", timeout=30)
    assert (
        lab_host.run_in_session("systemctl", "--user", "is-system-running", "--wait", user="lab").stdout.strip()
        == "running"
    )
