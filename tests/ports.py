"""Ports for what a test starts."""

import random
import socket

LOWEST, HIGHEST, APART = 20000, 32000, 10


def free_port() -> int:
    """One that is free, as its neighbours are.

    It lies below those that the kernel gives to whoever connects somewhere: of these, one that was free a moment ago may be taken.
    """
    while True:
        port = random.randrange(LOWEST, HIGHEST, APART)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
