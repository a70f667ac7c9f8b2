#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A consumer that takes one message at a time, says so, and never acknowledges: to be killed.
   silent_worker.py PORT QUEUE
"""

import sys

import pika


def main():
    connection = pika.BlockingConnection(
        pika.ConnectionParameters("127.0.0.1", int(sys.argv[1]), heartbeat=0))
    channel = connection.channel()
    channel.basic_qos(prefetch_count=1)
    channel.basic_consume(sys.argv[2], lambda ch, method, props, body: print(
        f"got {body.decode()} redelivered={method.redelivered}", flush=True))
    print("consuming", flush=True)
    channel.start_consuming()


if __name__ == "__main__":
    main()
