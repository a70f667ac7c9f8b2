#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A disk that runs full: publishers are blocked, consumers go on, and all is well once there is
space again."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from e2e_case import PERSISTENT, run
from full_disk import FullDiskCase


class DiskAlarm(FullDiskCase):
    def publisher(self):
        """(channel, events): what the broker says of blocking."""
        connection = self.connect()
        events = []
        connection.add_on_connection_blocked_callback(
            lambda _, frame: events.append(frame.method.reason))
        connection.add_on_connection_unblocked_callback(lambda *_: events.append("unblocked"))
        return connection.channel(), events

    def test_publishers_are_blocked_until_there_is_space(self):
        channel, events = self.publisher()
        queue = self.queue(channel, durable=True)
        channel.basic_publish("", queue, b"before", PERSISTENT)
        self.fill()
        channel.connection.process_data_events(0.5)
        self.assertEqual(events, [])
        for number in range(10):
            channel.basic_publish("", queue, b"%d" % number, PERSISTENT)
        self.wait_for("blocked", lambda: events, channel.connection)
        self.assertEqual(events, ["low on disk"])
        # Others go on: what came before the block, and the publish that caused it.
        other = self.channel()
        self.assertEqual(self.bodies(other, queue, 2), [b"before", b"0"])
        other.connection.process_data_events(0.3)
        self.assert_empty(other, queue)
        self.ballast.unlink()
        self.wait_for("unblocked", lambda: len(events) > 1, channel.connection)
        self.assertEqual(events, ["low on disk", "unblocked"])
        self.assertEqual(self.bodies(other, queue, 9), [b"%d" % number for number in range(1, 10)])
        channel.confirm_delivery()
        channel.basic_publish("", queue, b"after", PERSISTENT, mandatory=True)

    def test_who_connects_under_the_alarm_hears_of_it_with_the_first_publish(self):
        self.fill()
        channel, events = self.publisher()
        queue = self.queue(channel)
        channel.basic_consume(queue, lambda *_: None, auto_ack=True)
        channel.connection.process_data_events(0.3)
        self.assertEqual(events, [])
        channel.basic_publish("", queue, b"x")
        self.wait_for("blocked", lambda: events, channel.connection)
        self.ballast.unlink()
        self.wait_for("unblocked", lambda: len(events) > 1, channel.connection)

    def test_broker_stops_and_starts_under_the_alarm(self):
        channel, events = self.publisher()
        queue = self.name()
        channel.queue_declare(queue, durable=True)
        self.fill()
        channel.basic_publish("", queue, b"x", PERSISTENT)
        self.wait_for("blocked", lambda: events, channel.connection)
        self.broker.restart()
        self.assertTrue(self.alarm())
        again, events = self.publisher()
        self.assertEqual(self.bodies(again, queue, 1), [b"x"])
        again.basic_publish("", queue, b"y", PERSISTENT)
        self.wait_for("blocked at once", lambda: events, again.connection)
        self.ballast.unlink()
        self.wait_for("unblocked", lambda: len(events) > 1, again.connection)


if __name__ == "__main__":
    run()
