# SPDX-License-Identifier: Apache-2.0
"""A publisher on pika's SelectConnection that notes acks, nacks and returns in arrival order."""

import pika

LIMIT_SECONDS = 30


class AsyncPublisher:
    """Publishes `messages` (exchange, routing key, body, properties, mandatory) with confirms.

    events: ("ack"|"nack", delivery tag, multiple) and ("return", reply code, body).
    settled: the tags that were acked or nacked, `multiple` spelled out.
    """

    def __init__(self, parameters, messages, pipeline=True):
        self.messages = list(messages)
        self.pipeline = pipeline
        self.events = []
        self.settled = []
        self.sent = 0
        self.error = None
        self._channel = None
        self._connection = pika.SelectConnection(
            parameters, on_open_callback=self._on_open, on_open_error_callback=self._on_closed,
            on_close_callback=self._on_closed)

    def run(self):
        loop = self._connection.ioloop
        loop.call_later(LIMIT_SECONDS, lambda: self._on_closed(None, "time is up"))
        loop.start()
        if self.error is not None:
            raise RuntimeError(self.error)
        return self

    def _on_open(self, connection):
        connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel):
        self._channel = channel
        channel.add_on_return_callback(lambda ch, method, props, body: self.events.append(
            ("return", method.reply_code, body)))
        channel.add_on_close_callback(lambda ch, reason: self._on_closed(None, reason))
        channel.confirm_delivery(self._on_settled, callback=lambda frame: self._publish())

    def _publish(self):
        last = len(self.messages) if self.pipeline else self.sent + 1
        while self.sent < last:
            exchange, key, body, properties, mandatory = self.messages[self.sent]
            self._channel.basic_publish(exchange, key, body, properties, mandatory)
            self.sent += 1

    def _on_settled(self, frame):
        method = frame.method
        kind = "ack" if method.NAME == "Basic.Ack" else "nack"
        self.events.append((kind, method.delivery_tag, method.multiple))
        before = set(self.settled)
        first = 1 if method.multiple else method.delivery_tag
        self.settled += [tag for tag in range(first, method.delivery_tag + 1) if tag not in before]
        if len(self.settled) == len(self.messages):
            # A little longer, so that a confirm sent twice is seen.
            self._connection.ioloop.call_later(0.1, self._finish)
        elif not self.pipeline:
            self._publish()

    def _finish(self):
        self._connection.add_on_close_callback(lambda *_: None)
        self._connection.close()
        self._connection.ioloop.stop()

    def _on_closed(self, _, reason):
        if self.sent < len(self.messages) or len(self.settled) < len(self.messages):
            self.error = f"{reason}; {len(self.settled)} of {len(self.messages)} settled"
        self._connection.ioloop.stop()
