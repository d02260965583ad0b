"""Prints free ports of 127.0.0.1, one by default: below the range that the kernel gives to outgoing connections."""

import random
import socket
import sys

FIRST, LAST = 20000, 30000


def free_ports(count):
    found = []
    while len(found) < count:
        port = random.randrange(FIRST, LAST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


if __name__ == "__main__":
    print(*free_ports(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
