# SPDX-License-Identifier: Apache-2.0
"""Publishes numbered messages with confirms on a thread of its own, until it is told to stop or the
broker is gone; knows which of them were confirmed."""

import threading

import pika

PERSISTENT = pika.BasicProperties(delivery_mode=2)


class SteadyPublisher:
    """confirmed: numbers, ascending. blocked: what connection.blocked and unblocked said, in order.
    A body is its number and as many bytes of filling as asked for."""

    def __init__(self, parameters, queue, filling=100, window=200):
        self.queue = queue
        self.window = window
        self.filling = b"." * filling
        self.sent = 0
        self.confirmed = []
        self.nacked = []
        self.blocked = []
        self._settled = set()
        self._oldest = 0  # everything below is settled
        self._stopping = False
        self._channel = None
        self._connection = pika.SelectConnection(
            parameters, on_open_callback=lambda c: c.channel(on_open_callback=self._on_channel),
            on_open_error_callback=self._on_gone, on_close_callback=self._on_gone)
        self._connection.add_on_connection_blocked_callback(
            lambda _, frame: self.blocked.append(frame.method.reason))
        self._connection.add_on_connection_unblocked_callback(
            lambda *_: self.blocked.append("unblocked"))
        self._thread = threading.Thread(target=self._connection.ioloop.start, daemon=True)
        self._thread.start()

    def body(self, number):
        return b"%d " % number + self.filling

    def running(self):
        return self._thread.is_alive()

    def stop(self, seconds=60):
        """Sends no more, waits for what is not answered, leaves."""
        self._connection.ioloop.add_callback_threadsafe(self._stop)
        self.join(seconds)

    def join(self, seconds=60):
        self._thread.join(seconds)
        if self.running():
            raise RuntimeError(f"{len(self._settled)} of {self.sent} answered after {seconds} s")

    def _stop(self):
        self._stopping = True
        self._publish()

    def _on_channel(self, channel):
        self._channel = channel
        channel.confirm_delivery(self._on_answer, callback=lambda frame: self._publish())

    def _publish(self):
        if self._stopping:
            if len(self._settled) == self.sent and self._connection.is_open:
                self._connection.close()
            return
        while self.sent - len(self._settled) < self.window:
            self._channel.basic_publish("", self.queue, self.body(self.sent), PERSISTENT)
            self.sent += 1

    def _on_answer(self, frame):
        method = frame.method
        kept = self.confirmed if method.NAME == "Basic.Ack" else self.nacked
        first = self._oldest if method.multiple else method.delivery_tag - 1
        for number in range(first, method.delivery_tag):
            if number not in self._settled:
                self._settled.add(number)
                kept.append(number)
        while self._oldest in self._settled:
            self._oldest += 1
        self._publish()

    def _on_gone(self, *_):
        self._connection.ioloop.stop()
