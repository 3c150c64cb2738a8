"""The gateway's certificate: the operator's own, or one from an authority that is made here and vouches for this machine alone."""

import os
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from ipaddress import ip_address
from typing import TYPE_CHECKING

from provisioner.errors import BadInput, Refused, RunFailed
from provisioner.model.actions import MakeCertificate
from provisioner.model.containers import RENEWED_DAYS, CertificateSeen
from provisioner.model.facts import Unknown
from provisioner.world import files

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

OWN = "ca.pem"
"""The authority of this machine, with its key: in one file, so that no half of it is ever there."""
AUTHORITY = "authority.pem"
SERVED = "served/server.pem"

AUTHORITY_DAYS = 3650
SERVER_DAYS = 397
"""Apple's systems take no longer ones: https://support.apple.com/102028."""
BACKDATED = timedelta(hours=1)
"""Clocks of clients go slow."""


def make(wanted: MakeCertificate) -> None:
    """Put the certificate in place that is wanted; what stands already stays."""
    if not find_spec("cryptography"):
        raise RunFailed(
            "the Python package `cryptography` is not installed", fix="pip install 'provision-appliance[docker]'"
        )
    if stands(wanted):
        return
    files.own_folder(wanted.folder)
    files.make_folder(os.path.dirname(f"{wanted.folder}/{SERVED}"), 0o700)
    if wanted.certificate:
        _take(wanted)
    else:
        _issue(wanted)


def stands(wanted: MakeCertificate, now: datetime | None = None) -> bool:
    """Whether what is served is what is wanted, and has more than a month to go."""
    served = _read(f"{wanted.folder}/{SERVED}")
    if served is None or not os.path.exists(f"{wanted.folder}/{AUTHORITY}"):
        return False
    if wanted.certificate:
        return served == _joined(*_given(wanted))
    try:
        own, certificate = _certificates(_read(f"{wanted.folder}/{OWN}") or b""), _certificates(served)[0]
    except (ValueError, IndexError):
        return False
    until = (now or datetime.now(UTC)) + timedelta(days=RENEWED_DAYS)
    return (
        bool(own)
        and certificate.issuer == own[0].subject
        and _names(certificate) == set(wanted.names)
        and until < min(certificate.not_valid_after_utc, own[0].not_valid_after_utc)
    )


def seen(wanted: MakeCertificate) -> CertificateSeen:
    """How long what is shown to clients still holds."""
    texts = [_read(f"{wanted.folder}/{name}") for name in (SERVED, AUTHORITY)]
    try:
        ends = [one.not_valid_after_utc for text in texts for one in _certificates(text or b"")]
    except (ImportError, ValueError):
        ends = []
    if None in texts or not ends:
        return CertificateSeen(wanted, Unknown(f"{wanted.folder}/{SERVED} cannot be read"))
    return CertificateSeen(wanted, int((min(ends) - datetime.now(UTC)).total_seconds()))


def insist_on(wanted: MakeCertificate) -> None:
    """Refuse an operator's certificate that nobody could be shown, before anything is changed."""
    if wanted.certificate:
        chain, key = _given(wanted)
        _insist(chain, key, wanted)


def expires(folder: str) -> datetime | None:
    """When the certificate that is served ends; None where there is none."""
    served = _read(f"{folder}/{SERVED}")
    return _certificates(served)[0].not_valid_after_utc if served else None


def _take(wanted: MakeCertificate) -> None:
    """The operator's: whoever trusts its own chain trusts it, so the chain is what is held against."""
    chain, key = _given(wanted)
    _insist(chain, key, wanted)
    files.write_whole(f"{wanted.folder}/{AUTHORITY}", chain.decode(), 0o644)
    files.write_whole(f"{wanted.folder}/{SERVED}", _joined(chain, key).decode(), 0o600)


def _given(wanted: MakeCertificate) -> tuple[bytes, bytes]:
    found = []
    for path in (wanted.certificate, wanted.key):
        text = _read(path)
        if text is None:
            raise BadInput(
                f"{path or 'the certificate has no key'}: this file cannot be read",
                fix="--set gateway.certificate=FILE --set gateway.certificate_key=FILE, both in PEM",
            )
        found.append(text)
    return found[0], found[1]


def _joined(chain: bytes, key: bytes) -> bytes:
    """One file for both: nginx never sees the one without the other."""
    return key.rstrip(b"\n") + b"\n" + chain.rstrip(b"\n") + b"\n"


def _insist(chain: bytes, key: bytes, wanted: MakeCertificate) -> None:
    """Refuse what nginx would refuse, or browsers."""
    from cryptography.hazmat.primitives import serialization

    try:
        certificate = _certificates(chain)[0]
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError, IndexError) as error:
        raise BadInput(
            f"{wanted.certificate}, {wanted.key}: no certificate and key in PEM: {error}",
            fix="the certificate with its chain in the one file, its key without a password in the other",
        ) from error
    kinds = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    if certificate.public_key().public_bytes(*kinds) != private.public_key().public_bytes(*kinds):
        raise BadInput(
            f"{wanted.key}: this is not the key of {wanted.certificate}",
            fix="the server's own certificate comes first in its file, those that vouch for it behind it",
        )
    if certificate.not_valid_after_utc <= datetime.now(UTC):
        raise Refused(
            f"{wanted.certificate}: expired on {certificate.not_valid_after_utc:%Y-%m-%d}",
            fix="renew it, or leave `gateway.certificate` out: one is made here",
        )


def _issue(wanted: MakeCertificate) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    authority, signer = _authority(wanted)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(wanted.names[0], authority.subject, SERVER_DAYS, key)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in wanted.names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    served = _pem(key) + _text(_signed(builder, signer))
    files.write_whole(f"{wanted.folder}/{AUTHORITY}", _text(authority), 0o644)
    files.write_whole(f"{wanted.folder}/{SERVED}", served, 0o600)


def _authority(wanted: MakeCertificate) -> "tuple[x509.Certificate, EllipticCurvePrivateKey]":
    """The one that clients were told of stays as long as it outlives what it signs."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    path = f"{wanted.folder}/{OWN}"
    text = _read(path) or b""
    try:
        kept, key = _certificates(text)[0], serialization.load_pem_private_key(text, None)
    except (ValueError, IndexError):
        kept, key = None, None
    until = datetime.now(UTC) + timedelta(days=SERVER_DAYS)
    if kept is not None and isinstance(key, ec.EllipticCurvePrivateKey) and until < kept.not_valid_after_utc:
        return kept, key
    fresh = ec.generate_private_key(ec.SECP256R1())
    certificate = _self_signed(f"provision on {wanted.names[0]}", fresh)
    files.write_whole(path, _pem(fresh) + _text(certificate), 0o600)
    return certificate, fresh


def _self_signed(title: str, key: "EllipticCurvePrivateKey") -> "x509.Certificate":
    from cryptography import x509

    usage = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "encipher_only", "decipher_only"), False,
    )  # fmt: skip
    return _signed(
        _builder(title, None, AUTHORITY_DAYS, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False),
        key,
    )


def _builder(
    title: str, issuer: "x509.Name | None", days: int, key: "EllipticCurvePrivateKey"
) -> "x509.CertificateBuilder":
    from cryptography import x509

    # The standard's limit for a common name is 64 letters.
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, title[:64])])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
    )


def _signed(builder: "x509.CertificateBuilder", key: "EllipticCurvePrivateKey") -> "x509.Certificate":
    from cryptography.hazmat.primitives import hashes

    return builder.sign(key, hashes.SHA256())


def _general(name: str) -> "x509.GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names(certificate: "x509.Certificate") -> set[str]:
    from cryptography import x509

    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def _certificates(text: bytes) -> "list[x509.Certificate]":
    from cryptography import x509

    return x509.load_pem_x509_certificates(text)


def _pem(key: "EllipticCurvePrivateKey") -> str:
    from cryptography.hazmat.primitives import serialization

    kind = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*kind).decode()


def _text(certificate: "x509.Certificate") -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        return None
