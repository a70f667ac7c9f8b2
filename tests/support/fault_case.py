# SPDX-License-Identifier: Apache-2.0
"""What tests of a broker with failing disks and jumping clocks share."""

from broker_process import Broker
from e2e_case import BrokerCase
from faults import Faults
from steady_publisher import SteadyPublisher


class FaultCase(BrokerCase):
    OPTIONS = ()

    @classmethod
    def setUpClass(cls):
        """Each case has a broker of its own."""

    def setUp(self):
        self.broker = Broker(*self.OPTIONS)
        self.addCleanup(self.broker.close)
        self.faults = Faults(self.broker)
        self.broker.start()

    def publisher(self, queue, **options):
        return SteadyPublisher(self.parameters(), queue, **options)

    def restart(self):
        self.faults.calm_down()
        self.broker.start()

    def drain(self, queue, to_the_end=True):
        """The numbers that are in the queue when it begins, in order, none of them twice. With
        `to_the_end` nobody may publish meanwhile."""
        channel = self.channel()
        channel.basic_qos(prefetch_count=500)
        ready = channel.queue_declare(queue, passive=True).method.message_count
        numbers = []
        if ready:
            for method, _, body in channel.consume(queue, inactivity_timeout=20):
                self.assertIsNotNone(method, f"{len(numbers)} of {ready} messages")
                numbers.append(int(body.split(b" ")[0]))
                channel.basic_ack(method.delivery_tag)
                if len(numbers) == ready:
                    break
            channel.cancel()
        if to_the_end:
            self.assert_empty(channel, queue)
        channel.connection.close()
        self.assertEqual(numbers, sorted(set(numbers)))
        return numbers

    def assert_kept(self, publisher, numbers):
        lost = sorted(set(publisher.confirmed) - set(numbers))
        self.assertEqual(lost, [], f"{len(lost)} confirmed messages are lost")
