"""By what the gateway is known to be ours: the certificate that was put there, under whatever name it is reached."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssl import SSLContext


def held_against(authority: str) -> "SSLContext":
    """What of a chain lies in the file will do: who vouches for an operator's own certificate is often not in it.

    Nor does its name have to be the address by which this machine reaches itself. OSError where the file cannot be read.
    """
    import ssl

    context = ssl.create_default_context(cafile=authority)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
