"""A line to a broker that loses answers: some writes arrive and are acknowledged, and the connection ends before the client
hears of it. What a producer makes of that is what idempotence is for.
"""

import socket
import struct
import threading

PRODUCE = 0


class LosingLine:
    """Listens on an address of its own; every n-th answer to a Produce is lost, and its connection with it."""

    def __init__(self, broker, every):
        self.host, port = broker.rsplit(":", 1)
        self.port, self.every = int(port), every
        self.writes = self.lost = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server((self.host, 0))
        self.own_port = self.listener.getsockname()[1]
        self.address = f"{self.host}:{self.own_port}"
        self.is_closed = False

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.is_closed = True
        # Wakes who waits in accept; closing alone does not.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while not self.is_closed:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection((self.host, self.port))
            doomed = set()
            for target in (self.requests, self.answers):
                threading.Thread(target=self.carry, args=(target, client, server, doomed), daemon=True).start()

    def carry(self, direction, client, server, doomed):
        try:
            direction(client, server, doomed)
        except OSError:
            pass
        for end in (client, server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def requests(self, client, server, doomed):
        while (frame := receive(client)) is not None:
            api, _, correlation = struct.unpack_from(">hhi", frame, 4)
            if api == PRODUCE:
                with self.lock:
                    self.writes += 1
                    if self.writes % self.every == 0:
                        doomed.add(correlation)
            server.sendall(frame)

    def answers(self, client, server, doomed):
        # The broker tells its own address: clients are to stay on this line. Both ports take four bytes.
        told, own = (self.host.encode() + struct.pack(">i", port) for port in (self.port, self.own_port))
        while (frame := receive(server)) is not None:
            [correlation] = struct.unpack_from(">i", frame, 4)
            if correlation in doomed:
                with self.lock:
                    self.lost += 1
                return
            client.sendall(frame.replace(told, own))


def receive(end):
    """A frame with its length, or nothing at the end of the connection."""
    head = exactly(end, 4)
    if head is None:
        return None
    [length] = struct.unpack(">i", head)
    body = exactly(end, length)
    return None if body is None else head + body


def exactly(end, length):
    parts = bytearray()
    while len(parts) < length:
        part = end.recv(length - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)
