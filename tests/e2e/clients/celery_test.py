#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Celery: a worker with its defaults (prefork, mingle, gossip, events) and the tasks it gets."""

import os
import pathlib
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "support"))
sys.path.append(str(HERE / "celery"))

import celery
from e2e_case import BrokerCase, run
from tasks import make_app

RESULT_SECONDS = 60


class CeleryCase(BrokerCase):
    def setUp(self):
        self.queue_name = self.name("celery")
        self.app = self.make_app("rpc://")

    def make_app(self, backend):
        app = make_app(self.broker.port, backend, self.queue_name)
        app.set_current()
        self.addCleanup(app.close)
        return app

    def worker(self, *options, backend="rpc://"):
        """A worker process with a process group of its own, which has said that it is ready."""
        log_path = pathlib.Path(self.broker.folder, f"{self.name('worker')}.log")
        environment = {**os.environ, "CELERY_PORT": str(self.broker.port),
                       "CELERY_BACKEND": backend, "CELERY_QUEUE": self.queue_name}
        with open(log_path, "wb") as log:
            process = subprocess.Popen(
                ["/usr/bin/python3", "-m", "celery", "-A", "tasks", "worker", "-c", "2", "-n",
                 f"{log_path.stem}@%h", "--loglevel", "INFO", *options],
                cwd=HERE / "celery", env=environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True)
        self.addCleanup(process.wait, RESULT_SECONDS)
        self.addCleanup(self.kill, process)
        self.wait_for("worker", lambda: " ready." in log_path.read_text("utf-8", "replace"),
                      seconds=RESULT_SECONDS)
        return process

    @staticmethod
    def kill(process):
        """kill -9 for a worker and its pool."""
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait(RESULT_SECONDS)

    def send(self, name, *arguments, **options):
        return self.app.send_task(name, arguments, **options)

    def results(self, pending):
        return [result.get(timeout=RESULT_SECONDS) for result in pending]

    def counts(self, queue):
        ok = self.channel().queue_declare(queue, passive=True).method
        return ok.message_count, ok.consumer_count


class OneWorker(CeleryCase):
    """All with one worker; each call below is a question of its own, asked in turn."""

    def test_tasks_of_every_kind(self):
        self.worker("-E")
        # A hundred at once.
        self.assertEqual(self.results([self.send("add", n, n) for n in range(100)]),
                         [2 * n for n in range(100)])
        # Retries: published again by the worker, with a countdown.
        self.assertEqual(self.results([self.send("flaky", n) for n in range(10)]),
                         [[n, 2] for n in range(10)])
        # A group joined over rpc://.
        group = celery.group(self.app.signature("add", (n, 1)) for n in range(10))
        self.assertEqual(group.apply_async().get(timeout=RESULT_SECONDS), list(range(1, 11)))
        self.check_eta_holds_no_one_up()
        self.check_remote_control()
        self.check_events()
        self.assertEqual(self.counts(self.queue_name), (0, 1))

    def check_eta_holds_no_one_up(self):
        """A worker keeps tasks with an ETA unacked and raises its prefetch for each, which must
        reach the consumer that is there (basic.qos, global)."""
        began = time.time()
        later = [self.send("finished_at", countdown=3) for _ in range(20)]
        [soon] = self.results([self.send("finished_at")])
        done = self.results(later)
        self.assertGreaterEqual(min(done), began + 3)
        self.assertLess(soon, min(done))

    def check_remote_control(self):
        """Broadcast over a fanout exchange, answers over a direct one."""
        inspect = self.app.control.inspect(timeout=5, limit=1)
        [answer] = inspect.ping().values()
        self.assertEqual(answer, {"ok": "pong"})
        [answer] = self.app.control.pool_grow(1, reply=True, timeout=5, limit=1)
        self.assertEqual(list(answer.values()), [{"ok": "pool will grow"}])
        [active] = inspect.active_queues().values()
        self.assertEqual([queue["name"] for queue in active], [self.queue_name])

    def check_events(self):
        """celeryev: a topic exchange with a queue for each listener."""
        seen = []
        with self.app.connection_for_read() as connection:
            receiver = self.app.events.Receiver(connection, handlers={
                "task-succeeded": lambda event: seen.append(event["uuid"])})
            with receiver.consumer_context() as (listening, _, _):
                task = self.send("add", 1, 1)
                while task.id not in seen:
                    listening.drain_events(timeout=RESULT_SECONDS)

    # rpc:// has no chords; with a backend that has no counters a task polls until the header is
    # done, by retrying itself through the broker.
    def test_a_chord(self):
        backend = pathlib.Path(self.broker.folder, "results")
        backend.mkdir()
        self.app = self.make_app(f"file://{backend}")
        self.worker(backend=f"file://{backend}")
        chord = celery.chord([self.app.signature("add", (n, n)) for n in range(10)],
                             self.app.signature("total"))
        self.assertEqual(chord.apply_async().get(timeout=RESULT_SECONDS), 90)


class Killed(CeleryCase):
    """acks_late: what is not done comes again."""

    def setUp(self):
        super().setUp()
        self.notes = pathlib.Path(self.broker.folder, f"{self.name('notes')}.txt")
        self.notes.touch()

    def quick_worker(self):
        return self.worker("--without-mingle", "--without-gossip")

    def noted(self, word):
        lines = (line.split() for line in self.notes.read_text("ascii").splitlines())
        return {int(number): int(pid) for number, pid, what in lines if what == word}

    def send_notes(self, count, seconds):
        for number in range(count):
            self.send("note", str(self.notes), number, seconds, ignore_result=True)

    def wait_for_all(self, count):
        self.wait_for("all tasks", lambda: len(self.noted("done")) == count,
                      seconds=RESULT_SECONDS)
        self.wait_for("an empty queue", lambda: self.counts(self.queue_name)[0] == 0)

    def test_tasks_of_a_killed_worker_are_done_by_the_next(self):
        worker = self.quick_worker()
        self.send_notes(100, 0.02)
        self.wait_for("some tasks", lambda: len(self.noted("done")) >= 20,
                      seconds=RESULT_SECONDS)
        self.kill(worker)
        left = 100 - len(self.noted("done"))
        self.assertGreater(left, 0)
        self.wait_for("requeueing", lambda: self.counts(self.queue_name)[0] >= left)
        self.quick_worker()
        self.wait_for_all(100)

    def test_a_task_of_a_killed_pool_process_is_done_again(self):
        self.quick_worker()
        self.send_notes(1, 600)
        self.wait_for("the task", lambda: self.noted("begun"), seconds=RESULT_SECONDS)
        victim = self.noted("begun")[0]
        os.kill(victim, signal.SIGKILL)
        self.wait_for_all(1)
        self.assertNotEqual(self.noted("done")[0], victim)

    def test_a_worker_survives_the_kill_of_the_broker(self):
        worker = self.quick_worker()
        self.send_notes(100, 0.02)
        self.wait_for("some tasks", lambda: len(self.noted("done")) >= 20,
                      seconds=RESULT_SECONDS)
        self.broker.restart("kill")
        self.wait_for_all(100)
        self.send_notes(101, 0)
        self.wait_for_all(101)
        self.assertIsNone(worker.poll())


if __name__ == "__main__":
    run()
