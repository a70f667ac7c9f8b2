#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile and broken clients: each gets the answer AMQP has for it, and nobody else notices.

After every case a bystander, connected since before the case, still publishes and consumes on its
connection, and the broker still runs.
"""

import os
import pathlib
import random
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from e2e_case import BrokerCase, run
from raw_amqp import (BODY, HEADER, HEARTBEAT, METHOD, PROTOCOL_HEADER, RawConnection,
                      connection_open, channel_open, frame, method, publish, short, start_ok,
                      tune_ok)

TIMEOUT_MS = 1500
TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(193)


class Hostile(BrokerCase):
    OPTIONS = ("--handshake-timeout-ms", str(TIMEOUT_MS))

    def setUp(self):
        connection = self.connect()
        self.bystander = connection.channel()
        self.bystander_queue = self.bystander.queue_declare("", exclusive=True).method.queue
        self.addCleanup(self.check_bystander)

    def check_bystander(self):
        self.bystander.basic_publish("", self.bystander_queue, b"still here")
        self.assertEqual(self.bodies(self.bystander, self.bystander_queue, 1), [b"still here"])
        if self.broker.process is not None:
            self.assertTrue(self.broker.running())

    def raw(self):
        connection = RawConnection(self.broker.port)
        self.addCleanup(connection.close)
        return connection

    def test_other_protocols_get_our_header_and_the_door(self):
        for hello in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", TLS_HELLO, b"AMQP\x00\x01\x00\x00",
                      b"AMQP\x03\x01\x00\x00", b"AMQP\x00\x00\x09\x02", b"HELO x\r\n", bytes(8)):
            connection = self.raw()
            connection.send(hello)
            self.assertEqual(connection.read_all(), PROTOCOL_HEADER, hello[:8])

    def test_half_open_connections_time_out(self):
        steps = {"silence": b"", "half a header": PROTOCOL_HEADER[:5], "header": PROTOCOL_HEADER,
                 "half a frame": PROTOCOL_HEADER + start_ok()[:20],
                 "start-ok": PROTOCOL_HEADER + start_ok(),
                 "tune-ok": PROTOCOL_HEADER + start_ok() + tune_ok()}
        began = time.monotonic()
        connections = {}
        for name, sent in steps.items():
            connections[name] = self.raw()
            connections[name].send(sent)
        for name, connection in connections.items():
            connection.read_all()
            waited = time.monotonic() - began
            self.assertLess(waited, TIMEOUT_MS / 1000 + 5, name)
            self.assertGreater(waited, TIMEOUT_MS / 1000 - 0.2, name)

    def test_opened_connection_does_not_time_out(self):
        connection = self.raw().open()
        time.sleep(TIMEOUT_MS / 1000 + 0.5)
        connection.open_channel(1)

    def closes(self, sent, *codes, open_channel=True):
        connection = self.raw().open()
        if open_channel:
            connection.open_channel(1)
        connection.send(sent)
        self.assertIn(connection.read_close(), codes)
        self.assertIsNone(connection.read_method())

    # P3.
    def test_frame_beyond_the_negotiated_maximum_is_501(self):
        self.closes(struct.pack(">BHI", METHOD, 1, 131072), 501)
        self.closes(struct.pack(">BHI", BODY, 1, 0xFFFFFFFF), 501)

    def test_wrong_end_octet_is_501(self):
        self.closes(frame(METHOD, 1, struct.pack(">HH", 20, 40), end=0), 501)

    def test_unknown_frame_type_is_501(self):
        self.closes(frame(9, 1, b"x"), 501)
        self.closes(b"\xff" * 64, 501)

    def test_unknown_methods_close_the_connection(self):
        connection = self.raw().open().open_channel(1)
        connection.send(method(1, 60, 999))
        self.assertIn(connection.read_close(), (502, 503, 540))
        connection = self.raw().open().open_channel(1)
        connection.send(method(1, 999, 10))
        self.assertIn(connection.read_close(), (502, 503, 540))

    # 502 is the code AMQP has for it; RabbitMQ says 501 for some.
    def test_truncated_and_overlong_arguments_are_refused(self):
        self.closes(method(1, 50, 10, b"\0\0\xffshort"), 501, 502)
        self.closes(method(1, 60, 80, struct.pack(">Q", 1)), 501, 502)

    def test_broken_table_is_refused(self):
        table = short(b"k") + b"?" + b"xxxx"
        arguments = b"\0\0" + short(b"q") + b"\0" + struct.pack(">I", len(table)) + table
        self.closes(method(1, 50, 10, arguments), 501, 502)

    def test_bottomless_table_is_refused(self):
        table = b""
        for _ in range(3000):
            table = short(b"t") + b"F" + struct.pack(">I", len(table)) + table
        arguments = b"\0\0" + short(b"q") + b"\0" + struct.pack(">I", len(table)) + table
        self.closes(method(1, 50, 10, arguments), 501, 502)

    # P2.
    def test_content_out_of_place_is_505(self):
        header = frame(HEADER, 1, struct.pack(">HHQH", 60, 0, 5, 0))
        begun = method(1, 60, 40, b"\0\0" + short(b"") + short(b"q") + b"\0")
        self.closes(header, 505)
        self.closes(frame(BODY, 1, b"x"), 505)
        self.closes(begun + frame(BODY, 1, b"x"), 505)
        self.closes(begun + method(1, 20, 40), 505)
        self.closes(begun + frame(HEADER, 1, struct.pack(">HHQH", 20, 0, 5, 0)), 505)
        self.closes(begun + header + header, 505)

    def test_body_longer_than_its_header_says_closes(self):
        header = frame(HEADER, 1, struct.pack(">HHQH", 60, 0, 3, 0))
        begun = method(1, 60, 40, b"\0\0" + short(b"") + short(b"q") + b"\0")
        connection = self.raw().open().open_channel(1)
        connection.send(begun + header + frame(BODY, 1, b"four"))
        self.assertIn(connection.read_close(), (501, 505))

    def test_heartbeat_on_a_channel_closes(self):
        connection = self.raw().open().open_channel(1)
        connection.send(frame(HEARTBEAT, 1, b""))
        self.assertIn(connection.read_close(), (501, 505))

    def test_method_on_a_channel_that_is_not_open_is_504(self):
        self.closes(method(5, 60, 10, struct.pack(">IHB", 0, 1, 0)), 504, open_channel=False)
        self.closes(channel_open(1), 504)

    def test_handshake_out_of_order_closes(self):
        for sent in (PROTOCOL_HEADER + connection_open(), PROTOCOL_HEADER + channel_open(1),
                     PROTOCOL_HEADER + start_ok() + channel_open(1)):
            connection = self.raw()
            connection.send(sent)
            self.assertIn(connection.read_close(), (503, 504, 505, None))
            connection.read_all()

    def test_negotiating_more_than_offered_is_530(self):
        for tune in ({"frame_max": 1 << 30}, {"channel_max": 65535}):
            connection = self.raw()
            connection.send(PROTOCOL_HEADER)
            connection.read_method()
            connection.send(start_ok())
            connection.read_method()
            connection.send(tune_ok(**tune) + connection_open())
            self.assertIn(connection.read_close(), (530, None))

    def test_channel_above_the_maximum_is_refused(self):
        connection = self.raw().open(channel_max=10)
        connection.send(channel_open(11))
        self.assertIn(connection.read_close(), (504, 530))

    def test_message_beyond_the_limit_is_406_and_its_channel_alone(self):
        connection = self.raw().open().open_channel(1).open_channel(2)
        connection.send(publish(1, b"", b"q", b"", size=1 << 40))
        got = connection.read_method()
        if got[1:3] == (20, 40):
            self.assertEqual((got[0], struct.unpack(">H", got[3][:2])[0]), (1, 406))
            connection.send(method(1, 20, 41) + method(2, 60, 10, struct.pack(">IHB", 0, 1, 0)))
            self.assertEqual(connection.read_method()[:3], (2, 60, 11))
        else:
            self.assertEqual(got[1:3], (10, 50))

    def test_garbage_after_open_is_answered_and_dropped(self):
        seed = int(os.environ.get("WARREN_SEED", "0")) or random.randrange(1 << 30)
        print(f"seed {seed} (WARREN_SEED={seed} replays)", flush=True)
        rng = random.Random(seed)
        for _ in range(50):
            connection = self.raw().open().open_channel(1)
            try:
                connection.send(rng.randbytes(rng.randrange(8, 5000)) + b"\xff" * 8)
                self.assertIn(connection.read_close(), (501, 502, 503, 504, 505, 530, 540, None))
            except (BrokenPipeError, ConnectionResetError):
                pass

    def test_flipped_bits_in_a_session_never_hurt_others(self):
        seed = int(os.environ.get("WARREN_SEED", "0")) or random.randrange(1 << 30)
        print(f"seed {seed} (WARREN_SEED={seed} replays)", flush=True)
        rng = random.Random(seed)
        session = (start_ok() + tune_ok() + connection_open() + channel_open(1)
                   + publish(1, b"", b"nowhere", b"body") + method(1, 60, 10, b"\0" * 4 + b"\0\1\0")
                   + method(1, 20, 40, b"\0\xc8" + short(b"") + b"\0" * 4))
        for _ in range(100):
            data = bytearray(session)
            for _ in range(rng.randrange(1, 4)):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            connection = RawConnection(self.broker.port)
            try:
                connection.send(PROTOCOL_HEADER + bytes(data))
                connection.socket.settimeout(0.05)
                connection.read_all()
            except OSError:
                pass
            connection.close()

    def test_vanishing_in_mid_frame_is_no_trouble(self):
        for _ in range(50):
            connection = RawConnection(self.broker.port).open().open_channel(1)
            connection.send(publish(1, b"", b"q", b"x" * 1000)[:-500])
            connection.close()


if __name__ == "__main__":
    run()
