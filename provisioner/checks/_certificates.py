"""What there is to say of a certificate by the time that it still holds."""

from collections.abc import Iterator

from provisioner.model.containers import RENEWED_DAYS, CertificateSeen
from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding

NAME = "certificate"
DAY = 86400
OWN = "provision up   (makes a new one, and the gateway takes it up)"


def findings(certificates: tuple[CertificateSeen, ...], host: str = "") -> Iterator[Finding]:
    for one in certificates:
        left = one.left_seconds
        if not isinstance(left, Unknown) and left < RENEWED_DAYS * DAY:
            level = "error" if left <= 0 else "warning"
            what = f"the gateway's certificate{_whose(one)} {_told(left)}"
            yield Finding(NAME, level, f"{host}: {what}" if host else what, fix=_remedy(one))


def _told(left: int) -> str:
    if left <= 0:
        return f"expired {_span(-left)} ago: no client takes it"
    return f"expires in {_span(left)}"


def _span(seconds: int) -> str:
    days, hours = seconds // DAY, seconds // 3600
    if days >= 2:
        return f"{days} days"
    return f"{hours} hours" if hours >= 2 else f"{seconds // 60} minutes"


def _whose(one: CertificateSeen) -> str:
    return f" ({one.wanted.certificate})" if one.wanted.certificate else ""


def _remedy(one: CertificateSeen) -> str:
    """Our own is renewed by the next run; the operator's is the operator's."""
    if not one.wanted.certificate:
        return OWN
    return f"renew {one.wanted.certificate} and {one.wanted.key}, then provision up as before: it takes them in"
