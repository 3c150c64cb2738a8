"""`provision prepare` from the outside: what cannot be meant is refused before anything is looked at."""

import pytest

from tests.program import run


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--allow", "10.0.0.0/33"), "is no address"),
        (("--allow", "any"), "is no address"),
        (("--port", "0"), "is no port"),
        (("--port", "https"), "is no port"),
        (("--docker-from", "snap"), "not known"),
        (("--time-server", "ntp example"), "no name of a host"),
        (("--time-server", "a\nserver b"), "no name of a host"),
    ],
)
def test_what_is_no_address_port_or_server(words: tuple[str, ...], says: str) -> None:
    ran = run("prepare", "--check", *words)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert "fix:" in ran.err


@pytest.mark.parametrize(
    ("words", "says"),
    [(("--port", "22"), "is that of SSH"), ((), "no port is published")],
)
def test_a_firewall_never_guards_ssh_and_never_nothing(words: tuple[str, ...], says: str, tmp_path: object) -> None:
    ran = run("prepare", "--check", "--profile", "demo", "--allow", "10.0.0.0/8", *words, "--state-dir", str(tmp_path))
    assert (ran.code, ran.out) == (3, "")
    assert says in ran.err
