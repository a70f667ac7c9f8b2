#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sockets: every address of a name is served, and peers that vanish without a word are found."""

import pathlib
import re
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from broker_process import Broker
from e2e_case import BrokerCase, run
from raw_amqp import RawConnection

# Of a line in /proc/net/tcp: local address, remote address, state, queues, timer.
LINE = re.compile(r"\s*\d+: ([0-9A-F]+):([0-9A-F]+) ([0-9A-F]+):([0-9A-F]+) "
                  r"(\w\w) \S+ (\w\w):(\w+)")
ESTABLISHED, KEEP_ALIVE = "01", "02"
TICKS_PER_SECOND = 100


class NamedBroker(Broker):
    def command(self):
        command = super().command()
        command[command.index("--listen") + 1] = f"localhost:{self.port}"
        return command


class Names(BrokerCase):
    def test_every_address_of_a_name_is_served(self):
        broker = NamedBroker()
        self.addCleanup(broker.close)
        broker.start()
        addresses = {found[4][0] for found in socket.getaddrinfo("localhost", broker.port)}
        self.assertIn("127.0.0.1", addresses)
        for address in addresses:
            with socket.create_connection((address, broker.port), timeout=10) as client:
                client.sendall(b"AMQP\0\0\x09\x01")
                self.assertEqual(client.recv(1), b"\x01")


class KeepAlive(BrokerCase):
    def test_the_system_asks_for_silent_peers(self):
        connection = RawConnection(self.broker.port).open()
        self.addCleanup(connection.close)
        port = connection.socket.getsockname()[1]
        # Right behind an answer another timer runs, for the peer's acknowledgement.
        self.wait_for("the timer", lambda: self.timer(port)[:2] == (ESTABLISHED, KEEP_ALIVE))
        self.assertLessEqual(self.timer(port)[2], 60)

    def timer(self, port):
        """State, timer and its seconds of the broker's socket whose peer has this port."""
        timers = []
        for line in pathlib.Path("/proc/net/tcp").read_text(encoding="ascii").splitlines():
            found = LINE.match(line)
            if found and int(found[2], 16) == self.broker.port and int(found[4], 16) == port:
                timers.append((found[5], found[6], int(found[7], 16) / TICKS_PER_SECOND))
        self.assertEqual(len(timers), 1)
        return timers[0]


if __name__ == "__main__":
    run()
