"""Certificates as OpenSSL takes them: made, kept, renewed; the operator's own checked before it is used."""

import os
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from provisioner.errors import BadInput
from provisioner.model.actions import MakeCertificate
from provisioner.model.containers import Question
from provisioner.model.facts import Unknown
from provisioner.world import certificates, probe

NAMES = ("appliance", "localhost", "127.0.0.1", "fd00::1")


def wanted(folder: Path, *names: str) -> MakeCertificate:
    return MakeCertificate(str(folder), names or NAMES)


def shaken(authority: str, served: str, name: str) -> None:
    """A TLS handshake in memory: raises where the client does not trust the server under this name."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(served)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context(cafile=authority).wrap_bio(down, up, server_hostname=name)
    door = server.wrap_bio(up, down, server_side=True)
    ends = [client, door]
    for _ in range(10):
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                continue
    assert not ends


@pytest.mark.parametrize("name", NAMES)
def test_who_trusts_the_authority_trusts_the_gateway_by_each_of_its_names(tmp_path: Path, name: str) -> None:
    certificates.make(wanted(tmp_path))
    shaken(f"{tmp_path}/authority.pem", f"{tmp_path}/served/server.pem", name)


def test_nobody_is_trusted_by_another_name(tmp_path: Path) -> None:
    certificates.make(wanted(tmp_path))
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(f"{tmp_path}/authority.pem", f"{tmp_path}/served/server.pem", "elsewhere")


def test_only_the_owner_reads_the_keys_and_the_gateway_never_sees_the_authoritys(tmp_path: Path) -> None:
    certificates.make(wanted(tmp_path))
    assert os.stat(tmp_path / "ca.pem").st_mode & 0o777 == 0o600
    assert os.stat(tmp_path / "served/server.pem").st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path / "served") == ["server.pem"]
    assert "PRIVATE" not in (tmp_path / "authority.pem").read_text()


def test_how_long_it_holds_is_seen(tmp_path: Path) -> None:
    wanted = MakeCertificate(str(tmp_path / "tls"), ("localhost",))
    assert isinstance(certificates.seen(wanted).left_seconds, Unknown)
    certificates.make(wanted)
    left = certificates.seen(wanted).left_seconds
    assert isinstance(left, int)
    assert 396 * 86400 < left <= 397 * 86400


def test_what_stands_stays(tmp_path: Path) -> None:
    certificates.make(wanted(tmp_path))
    before = (tmp_path / "served/server.pem").read_bytes()
    certificates.make(wanted(tmp_path))
    assert (tmp_path / "served/server.pem").read_bytes() == before


def test_a_month_before_its_end_it_is_renewed(tmp_path: Path) -> None:
    certificates.make(wanted(tmp_path))
    ends = certificates.expires(str(tmp_path))
    assert ends is not None
    assert certificates.stands(wanted(tmp_path), ends - timedelta(days=31))
    assert not certificates.stands(wanted(tmp_path), ends - timedelta(days=29))
    assert timedelta(days=396) < ends - datetime.now(UTC) < timedelta(days=398)


def test_another_name_is_another_certificate_of_the_same_authority(tmp_path: Path) -> None:
    certificates.make(wanted(tmp_path))
    authority = (tmp_path / "authority.pem").read_bytes()
    assert not certificates.stands(wanted(tmp_path, "elsewhere"))
    certificates.make(wanted(tmp_path, "elsewhere"))
    assert (tmp_path / "authority.pem").read_bytes() == authority
    shaken(f"{tmp_path}/authority.pem", f"{tmp_path}/served/server.pem", "elsewhere")


@pytest.mark.parametrize("lost", ["authority.pem", "served/server.pem", "ca.pem"])
def test_what_a_killed_run_left_out_is_made_by_the_next(tmp_path: Path, lost: str) -> None:
    certificates.make(wanted(tmp_path))
    (tmp_path / lost).unlink()
    certificates.make(wanted(tmp_path))
    assert certificates.stands(wanted(tmp_path))
    shaken(f"{tmp_path}/authority.pem", f"{tmp_path}/served/server.pem", "appliance")


@pytest.fixture
def theirs(tmp_path: Path) -> MakeCertificate:
    """An operator's pair of files: here from an authority of the test's."""
    certificates.make(wanted(tmp_path / "theirs", "llm.example.org"))
    key, mark, certificate = (
        (tmp_path / "theirs/served/server.pem").read_text().partition("-----BEGIN CERTIFICATE-----")
    )
    (tmp_path / "their.key").write_text(key)
    (tmp_path / "their.pem").write_text(mark + certificate)
    return MakeCertificate(str(tmp_path / "tls"), NAMES, str(tmp_path / "their.pem"), str(tmp_path / "their.key"))


def test_the_operators_own_is_served_and_followed_when_it_is_renewed(tmp_path: Path, theirs: MakeCertificate) -> None:
    certificates.make(theirs)
    assert certificates.stands(theirs)
    shaken(f"{tmp_path}/theirs/authority.pem", f"{theirs.folder}/served/server.pem", "llm.example.org")
    Path(theirs.certificate).write_text(Path(theirs.certificate).read_text() + "\n# renewed\n")
    assert not certificates.stands(theirs)


def test_the_operators_own_is_known_by_this_machine_without_its_authority_or_its_name(
    theirs: MakeCertificate,
) -> None:
    certificates.make(theirs)
    front = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    front.load_cert_chain(f"{theirs.folder}/served/server.pem")
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as door:
        door.socket = front.wrap_socket(door.socket, server_side=True)
        threading.Thread(target=door.serve_forever, daemon=True).start()
        url = f"https://127.0.0.1:{door.server_port}/"
        answer = probe.ask(Question("gateway", "the gateway", url, authority=f"{theirs.folder}/authority.pem"), None)
        stranger = probe.ask(
            Question("gateway", "the gateway", url, authority=ssl.get_default_verify_paths().cafile or ""), None
        )
        door.shutdown()
    assert isinstance(answer, probe.Answer), answer
    assert isinstance(stranger, Unknown)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path, theirs: MakeCertificate) -> None:
    certificates.make(wanted(tmp_path / "other"))
    Path(theirs.key).write_text((tmp_path / "other/served/server.pem").read_text())
    with pytest.raises(BadInput, match="not the key of"):
        certificates.make(theirs)
    assert not os.path.exists(f"{theirs.folder}/served/server.pem")


@pytest.mark.parametrize("text", ["", "no certificate\n"])
def test_what_is_no_certificate_is_refused(theirs: MakeCertificate, text: str) -> None:
    Path(theirs.certificate).write_text(text)
    with pytest.raises(BadInput, match="no certificate and key in PEM"):
        certificates.make(theirs)


def test_a_certificate_without_its_key_is_refused(theirs: MakeCertificate) -> None:
    os.unlink(theirs.key)
    with pytest.raises(BadInput, match="cannot be read"):
        certificates.make(theirs)
