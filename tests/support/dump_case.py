# SPDX-License-Identifier: Apache-2.0
"""What the tests of warren-dump share: the program, what it leaves untouched, stores of brokers."""

import hashlib
import json
import pathlib
import subprocess

import pika

from broker_process import PROGRAM, Broker
from e2e_case import BrokerCase

DUMP = pathlib.Path(PROGRAM).with_name("warren-dump")
DUMP_SECONDS = 60


def dump(data_dir, *arguments, code=0):
    """Runs warren-dump; its stdout. Fails unless it exits with `code`."""
    done = subprocess.run([DUMP, "--data-dir", str(data_dir), *arguments], capture_output=True,
                          timeout=DUMP_SECONDS, check=False)
    if done.returncode != code:
        raise AssertionError(f"warren-dump {arguments}: exit {done.returncode}\n"
                             f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def dump_lines(data_dir, *arguments, code=0):
    return [json.loads(line)
            for line in dump(data_dir, "--json", *arguments, code=code).splitlines()]


def fingerprint(folder):
    """Every file with its content, size, time and inode."""
    out = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        status = path.stat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        out[str(path)] = (digest, status.st_size, status.st_mtime_ns, status.st_ino)
    return out


def flip_a_bit(folder, pattern, offset):
    """In the largest such file."""
    path = max(pathlib.Path(folder).glob(pattern), key=lambda file: file.stat().st_size)
    if path.stat().st_size <= offset:
        raise AssertionError(f"{path} is too small")
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0x10]))


class StoreCase(BrokerCase):
    def setUp(self):
        self.folder = pathlib.Path(self.broker.folder)
        self.data = self.broker.data_dir
        if not self.broker.running():
            self.broker.start()

    def confirming(self):
        channel = self.channel()
        channel.confirm_delivery()
        return channel

    def fill(self, channel, queue, bodies, **properties):
        for body in bodies:
            channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2,
                                                                        **properties))

    def restored(self, data_dir):
        """A broker of its own on another data directory."""
        broker = Broker(data_dir=data_dir)
        self.addCleanup(broker.close)
        return broker.start()

    def drain(self, broker, queue):
        connection = pika.BlockingConnection(pika.ConnectionParameters(broker.host, broker.port))
        channel = connection.channel()
        count = channel.queue_declare(queue, passive=True).method.message_count
        out = []
        for method, properties, body in channel.consume(queue, inactivity_timeout=2):
            if method is None:
                break
            channel.basic_ack(method.delivery_tag)
            out.append((properties, body))
            if len(out) == count:
                break
        connection.close()
        return out
