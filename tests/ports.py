"""Ports for what a test starts."""

import random
import socket

LOWEST, HIGHEST, APART = 20000, 32000, 10
GIVEN = set[int]()
"""What a test was given and does not listen on yet would be free for its next service as well."""


def free_port() -> int:
    """One that is free, as its neighbours are.

    It lies below those that the kernel gives to whoever connects somewhere: of these, one that was free a moment ago may be taken.
    """
    while True:
        port = random.randrange(LOWEST, HIGHEST, APART)
        if port in GIVEN and len(GIVEN) < (HIGHEST - LOWEST) // APART // 2:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            GIVEN.add(port)
            return port
