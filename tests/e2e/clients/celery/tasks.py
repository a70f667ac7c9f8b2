# SPDX-License-Identifier: Apache-2.0
"""Tasks for a Celery worker (`celery -A tasks worker`) and for the test that calls them.

CELERY_PORT     the broker's port on 127.0.0.1
CELERY_BACKEND  the result backend
CELERY_QUEUE    queue, exchange and routing key of the tasks
"""

import os
import time

from celery import Celery


def make_app(port, backend, queue):
    """An application with the tasks below, ready to send them or to run them."""
    app = Celery("warren", broker=f"amqp://guest:guest@127.0.0.1:{port}//", backend=backend,
                 set_as_current=False)
    app.conf.update(
        task_default_queue=queue,
        broker_transport_options={"confirm_publish": True},
        broker_connection_retry=True,
        broker_connection_max_retries=None,
        worker_prefetch_multiplier=4,
        result_chord_retry_interval=0.1,
        task_publish_retry_policy={"interval_start": 0.05, "interval_step": 0.05,
                                   "interval_max": 0.2, "max_retries": 200},
        worker_hijack_root_logger=False)
    app.task(name="add")(add)
    app.task(name="total")(total)
    app.task(name="finished_at")(finished_at)
    app.task(name="flaky", bind=True, max_retries=3)(flaky)
    app.task(name="note", bind=True, acks_late=True, reject_on_worker_lost=True)(note)
    return app


def add(one, other):
    return one + other


def total(numbers):
    return sum(numbers)


def finished_at():
    return time.time()


def flaky(task, number):
    """Works at the third attempt."""
    if task.request.retries < 2:
        raise task.retry(countdown=0.05)
    return number, task.request.retries


def note(task, path, number, seconds):
    """Leaves a line `NUMBER PID begun` in a file, works, and leaves `NUMBER PID done`. A task that
    comes again, with the broker's redelivered flag, does not take its time."""
    again = task.request.delivery_info["redelivered"]
    for word in ("begun", "done"):
        with open(path, "a", encoding="ascii") as file:
            file.write(f"{number} {os.getpid()} {word}\n")
        if word == "begun" and not again:
            time.sleep(seconds)


if "CELERY_PORT" in os.environ:
    app = make_app(os.environ["CELERY_PORT"], os.environ["CELERY_BACKEND"],
                   os.environ["CELERY_QUEUE"])
