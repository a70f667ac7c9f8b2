# SPDX-License-Identifier: Apache-2.0
"""AMQP bytes by hand, for what a proper client would never send."""

import socket
import struct

METHOD, HEADER, BODY, HEARTBEAT, END = 1, 2, 3, 8, 0xCE
PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
TIMEOUT_SECONDS = 15


def frame(kind, channel, payload, end=END):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + bytes([end])


def method(channel, class_id, method_id, arguments=b""):
    return frame(METHOD, channel, struct.pack(">HH", class_id, method_id) + arguments)


def short(text):
    return bytes([len(text)]) + text


def start_ok(user=b"guest", password=b"guest"):
    response = b"\0" + user + b"\0" + password
    return method(0, 10, 11, struct.pack(">I", 0) + short(b"PLAIN")
                  + struct.pack(">I", len(response)) + response + short(b"en_US"))


def tune_ok(channel_max=2047, frame_max=131072, heartbeat=0):
    return method(0, 10, 31, struct.pack(">HIH", channel_max, frame_max, heartbeat))


def connection_open(vhost=b"/"):
    return method(0, 10, 40, short(vhost) + short(b"") + b"\0")


def channel_open(channel):
    return method(channel, 20, 10, short(b""))


def publish(channel, exchange, key, body, size=None):
    header = struct.pack(">HHQH", 60, 0, len(body) if size is None else size, 0)
    return (method(channel, 60, 40, b"\0\0" + short(exchange) + short(key) + b"\0")
            + frame(HEADER, channel, header) + (frame(BODY, channel, body) if body else b""))


class RawConnection:
    """A socket that reads frames: (type, channel, payload); None when the peer has closed."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
        self.socket.settimeout(TIMEOUT_SECONDS)
        self.pending = b""

    def send(self, data):
        self.socket.sendall(data)

    def read_exactly(self, count):
        while len(self.pending) < count:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self.pending += data
        data, self.pending = self.pending[:count], self.pending[count:]
        return data

    def read_frame(self):
        prefix = self.read_exactly(7)
        if prefix is None:
            return None
        kind, channel, size = struct.unpack(">BHI", prefix)
        rest = self.read_exactly(size + 1)
        return None if rest is None else (kind, channel, rest[:-1])

    def read_method(self):
        """(channel, class id, method id, arguments); None when the peer has closed."""
        while True:
            got = self.read_frame()
            if got is None:
                return None
            if got[0] == METHOD:
                return (got[1], *struct.unpack(">HH", got[2][:4]), got[2][4:])

    def read_all(self):
        """Everything until the peer closes."""
        while True:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return self.pending
            self.pending += data

    def open(self, **tune):
        """The whole handshake."""
        self.send(PROTOCOL_HEADER)
        assert self.read_method()[1:3] == (10, 10)
        self.send(start_ok())
        assert self.read_method()[1:3] == (10, 30)
        self.send(tune_ok(**tune) + connection_open())
        assert self.read_method()[1:3] == (10, 41)
        return self

    def open_channel(self, channel):
        self.send(channel_open(channel))
        assert self.read_method()[:3] == (channel, 20, 11)
        return self

    def read_close(self):
        """The reply code of the connection.close that comes, answered; None without one."""
        while True:
            got = self.read_method()
            if got is None:
                return None
            if got[1:3] == (10, 50):
                self.send(method(0, 10, 51))
                return struct.unpack(">H", got[3][:2])[0]

    def close(self):
        self.socket.close()
