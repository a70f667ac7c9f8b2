#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the broker refuses, with which reply code, and what closes: declarations, names, tags."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import pika
import pika.exceptions

from e2e_case import PERSISTENT, BrokerCase, run


class Declarations(BrokerCase):
    def test_equal_redeclaration_is_fine_and_counts(self):
        channel = self.channel()
        queue = self.queue(channel, durable=True, arguments={"x-max-length": 10})
        channel.confirm_delivery()
        channel.basic_publish("", queue, b"x", PERSISTENT)
        again = channel.queue_declare(queue, durable=True, arguments={"x-max-length": 10}).method
        self.assertEqual((again.queue, again.message_count, again.consumer_count), (queue, 1, 0))

    def test_unequal_redeclaration_is_406_and_names_the_argument(self):
        queue = self.queue(self.channel(), durable=True, arguments={"x-max-length": 10})
        for text, options in (
                (f"inequivalent arg 'durable' for queue '{queue}' in vhost '/': received 'false' "
                 "but current is 'true'", {"arguments": {"x-max-length": 10}}),
                ("inequivalent arg 'auto_delete'",
                 {"durable": True, "auto_delete": True, "arguments": {"x-max-length": 10}}),
                (f"inequivalent arg 'x-max-length' for queue '{queue}' in vhost '/': received "
                 "none but current is the value '10'", {"durable": True}),
                ("inequivalent arg 'x-max-length'",
                 {"durable": True, "arguments": {"x-max-length": 11}})):
            self.assert_channel_closed(406, text, self.channel().queue_declare, queue, **options)

    def test_unequal_exchange_is_406(self):
        channel = self.channel()
        exchange = self.name("exchange")
        channel.exchange_declare(exchange, "direct", durable=True)
        channel.exchange_declare(exchange, "direct", durable=True)
        for text, kind, options in (("inequivalent arg 'type'", "fanout", {"durable": True}),
                                    ("inequivalent arg 'durable'", "direct", {}),
                                    ("inequivalent arg 'internal'", "direct",
                                     {"durable": True, "internal": True})):
            self.assert_channel_closed(406, text, self.channel().exchange_declare, exchange, kind,
                                       **options)

    def test_passive_declare_of_what_is_missing_is_404(self):
        self.assert_channel_closed(404, "NOT_FOUND - no queue 'nothing' in vhost '/'",
                                   self.channel().queue_declare, "nothing", passive=True)
        self.assert_channel_closed(404, "NOT_FOUND - no exchange 'nothing' in vhost '/'",
                                   self.channel().exchange_declare, "nothing", passive=True)

    def test_passive_declare_of_what_exists_ignores_the_rest(self):
        channel = self.channel()
        queue = self.queue(channel, durable=True)
        self.assertEqual(channel.queue_declare(queue, passive=True).method.queue, queue)
        channel.exchange_declare("amq.topic", "fanout", passive=True)

    # B7: visible to its connection only, and gone with it.
    def test_exclusive_queue_is_405_for_others_and_dies_with_its_connection(self):
        owner = self.connect()
        queue = self.name()
        owner.channel().queue_declare(queue, exclusive=True)
        text = f"RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{queue}'"
        for action, arguments in (("queue_declare", {"queue": queue, "passive": True}),
                                  ("queue_declare", {"queue": queue, "exclusive": True}),
                                  ("queue_declare", {"queue": queue}),
                                  ("basic_get", {"queue": queue}),
                                  ("queue_purge", {"queue": queue}),
                                  ("queue_delete", {"queue": queue}),
                                  ("queue_bind", {"queue": queue, "exchange": "amq.direct"}),
                                  ("basic_consume", {"queue": queue,
                                                     "on_message_callback": print})):
            self.assert_channel_closed(405, text, getattr(self.channel(), action), **arguments)
        owner.channel().queue_declare(queue, passive=True)
        owner.close()
        self.assert_channel_closed(404, "NOT_FOUND", self.channel().queue_declare, queue,
                                   passive=True)

    def test_auto_delete_queue_goes_with_its_last_consumer(self):
        channel = self.channel()
        queue = self.queue(channel, auto_delete=True)
        tags = [channel.basic_consume(queue, print) for _ in range(2)]
        channel.basic_cancel(tags[0])
        channel.queue_declare(queue, passive=True)
        channel.basic_cancel(tags[1])
        self.assert_channel_closed(404, "NOT_FOUND", channel.queue_declare, queue, passive=True)

    def test_reserved_names_are_403(self):
        self.assert_channel_closed(403, "contains reserved prefix 'amq.*'",
                                   self.channel().queue_declare, "amq.mine")
        self.assert_channel_closed(403, "contains reserved prefix 'amq.*'",
                                   self.channel().exchange_declare, "amq.mine")
        self.assert_channel_closed(403, "ACCESS_REFUSED",
                                   self.channel().exchange_delete, "amq.direct")

    def test_unknown_exchange_type_closes(self):
        channel = self.channel()
        with self.assertRaises((pika.exceptions.ChannelClosedByBroker,
                                pika.exceptions.ConnectionClosedByBroker)) as caught:
            channel.exchange_declare(self.name("exchange"), "x-unheard-of")
        self.assertIn("unknown exchange type 'x-unheard-of'", caught.exception.reply_text)

    def test_delete_if_unused_and_if_empty(self):
        channel = self.channel()
        queue = self.queue(channel)
        channel.basic_publish("", queue, b"x")
        self.assert_channel_closed(406, "not empty", self.channel().queue_delete, queue,
                                   if_empty=True)
        tag = channel.basic_consume(queue, print)
        self.assert_channel_closed(406, "in use", self.channel().queue_delete, queue,
                                   if_unused=True)
        channel.basic_cancel(tag)
        channel.queue_delete(queue)

    def test_deleting_what_is_missing_is_fine(self):
        channel = self.channel()
        self.assertEqual(channel.queue_delete("nothing at all").method.message_count, 0)
        channel.exchange_delete("nothing at all")

    def test_delete_and_purge_count_the_ready_messages(self):
        channel = self.channel()
        queue = self.queue(channel)
        for _ in range(5):
            channel.basic_publish("", queue, b"x")
        self.assertEqual(channel.queue_purge(queue).method.message_count, 5)
        for _ in range(3):
            channel.basic_publish("", queue, b"x")
        self.assertEqual(channel.queue_delete(queue).method.message_count, 3)

    def test_bind_to_what_is_missing_is_404(self):
        queue = self.queue(self.channel())
        self.assert_channel_closed(404, "no exchange 'nothing'", self.channel().queue_bind, queue,
                                   "nothing", "key")
        self.assert_channel_closed(404, "no queue 'nothing'", self.channel().queue_bind, "nothing",
                                   "amq.direct", "key")

    def test_exclusive_consumer_is_403_for_others(self):
        channel = self.channel()
        queue = self.queue(channel)
        channel.basic_consume(queue, print, exclusive=True)
        self.assert_channel_closed(403, "in exclusive use", self.channel().basic_consume, queue,
                                   print)


class Messages(BrokerCase):
    # P4.
    def test_unknown_delivery_tag_is_406_on_the_channel_only(self):
        connection = self.connect()
        for settle in ("basic_ack", "basic_nack", "basic_reject"):
            channel = connection.channel()
            getattr(channel, settle)(99)
            self.assert_channel_closed(406, "PRECONDITION_FAILED - unknown delivery tag 99",
                                       channel.queue_declare, "", exclusive=True)
        self.assertTrue(connection.is_open)
        connection.channel().queue_declare("", exclusive=True)

    def test_acking_twice_is_406(self):
        channel = self.channel()
        queue = self.queue(channel)
        channel.basic_publish("", queue, b"x")
        tag = self.take(channel, queue, 1, auto_ack=False)[0][0].delivery_tag
        channel.basic_ack(tag)
        channel.basic_ack(tag)
        self.assert_channel_closed(406, f"unknown delivery tag {tag}", channel.queue_declare,
                                   queue, passive=True)

    def test_publish_to_a_missing_exchange_is_404(self):
        channel = self.channel()
        channel.basic_publish("nothing", "key", b"x")
        self.assert_channel_closed(404, "no exchange 'nothing' in vhost '/'",
                                   channel.queue_declare, "", exclusive=True)

    def test_publish_to_an_internal_exchange_is_403(self):
        channel = self.channel()
        exchange = self.name("internal")
        channel.exchange_declare(exchange, "fanout", internal=True)
        channel.basic_publish(exchange, "", b"x")
        self.assert_channel_closed(403, "internal exchange", channel.queue_declare, "",
                                   exclusive=True)

    def test_consuming_a_missing_queue_is_404(self):
        self.assert_channel_closed(404, "no queue 'nothing'", self.channel().basic_consume,
                                   "nothing", print)

    def test_prefetch_size_is_540(self):
        with self.assertRaises(pika.exceptions.ConnectionClosedByBroker) as caught:
            self.channel().basic_qos(prefetch_size=1000)
        self.assertEqual(caught.exception.reply_code, 540)

    def test_what_is_not_implemented_says_so(self):
        with self.assertRaises(pika.exceptions.ConnectionClosedByBroker) as caught:
            self.channel().basic_recover(requeue=False)
        self.assertEqual(caught.exception.reply_code, 540)

    def test_closed_channel_leaves_its_connection_and_its_number_usable(self):
        connection = self.connect()
        for _ in range(3):
            channel = connection.channel(7)
            self.assert_channel_closed(404, "NOT_FOUND", channel.queue_declare, "nothing",
                                       passive=True)
        self.assertTrue(connection.channel(7).is_open)

    def test_queue_deletion_cancels_its_consumers(self):
        channel = self.channel()
        queue = self.queue(channel)
        cancelled = []
        channel.add_on_cancel_callback(lambda frame: cancelled.append(frame.method.consumer_tag))
        tag = channel.basic_consume(queue, print)
        self.channel().queue_delete(queue)
        self.wait_for("cancel", lambda: cancelled, channel.connection)
        self.assertEqual(cancelled, [tag])


class Login(BrokerCase):
    def test_wrong_password_is_refused(self):
        for user, password in (("guest", "wrong"), ("nobody", "guest"), ("", "")):
            with self.assertRaises(pika.exceptions.ProbableAuthenticationError):
                self.connect(credentials=pika.PlainCredentials(user, password))

    def test_missing_vhost_is_refused(self):
        with self.assertRaises(pika.exceptions.AMQPConnectionError) as caught:
            self.connect(virtual_host="nothing")
        self.assertIn("530", repr(caught.exception))

    def test_server_properties_name_the_capabilities(self):
        connection = self.connect()
        properties = connection._impl.server_properties
        for capability in ("publisher_confirms", "basic.nack", "consumer_cancel_notify",
                           "exchange_exchange_bindings", "consumer_priorities",
                           "authentication_failure_close", "per_consumer_qos", "direct_reply_to",
                           "connection.blocked"):
            self.assertIs(properties["capabilities"][capability], True, capability)


if __name__ == "__main__":
    run()
