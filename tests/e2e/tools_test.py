#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's amqp-tools (librabbitmq, a client in C) against the broker, and warren-perf, whose every
command says what it found and fails when it has to."""

import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from bash_completion import completed
from broker_process import ROOT, Broker
from e2e_case import BrokerCase, run

PERF = os.environ.get("WARREN_PERF", str(ROOT / "build/release/bin/warren-perf"))
TOOL_SECONDS = 20
PERF_SECONDS = 60


class Tools(BrokerCase):
    def tool(self, name, *arguments, stdin=b"", code=0):
        done = subprocess.run(
            [f"/usr/bin/amqp-{name}", "-u", f"amqp://guest:guest@127.0.0.1:{self.broker.port}/%2f",
             *arguments], input=stdin, capture_output=True, timeout=TOOL_SECONDS, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout

    def declared(self, *options):
        name = self.name()
        out = self.tool("declare-queue", "-q", name, *options)
        self.assertEqual(out.decode().strip(), name)
        return name

    def test_publish_and_get(self):
        queue = self.declared("-d")
        self.tool("publish", "-r", queue, "-p", "-b", "from the shell")
        self.assertEqual(self.tool("get", "-q", queue), b"from the shell")
        self.tool("get", "-q", queue, code=2)

    def test_publish_from_stdin_and_consume(self):
        queue = self.declared()
        big = bytes(range(256)) * 4096
        self.tool("publish", "-r", queue, stdin=big)
        self.assertEqual(self.tool("consume", "-q", queue, "-c", "1", "cat"), big)

    def test_consume_many_with_prefetch(self):
        queue = self.declared("-d")
        self.tool("publish", "-r", queue, "-p", "-l", stdin=b"one\ntwo\nthree\nfour\n")
        got = self.tool("consume", "-q", queue, "-c", "4", "-p", "2", "cat")
        self.assertEqual(got.split(), [b"one", b"two", b"three", b"four"])
        self.tool("get", "-q", queue, code=2)

    def test_consume_from_an_exchange(self):
        queue = self.declared()
        self.channel().queue_bind(queue, "amq.topic", "a.#")
        self.tool("publish", "-e", "amq.topic", "-r", "a.b", "-b", "routed")
        self.tool("publish", "-e", "amq.topic", "-r", "b", "-b", "elsewhere")
        self.assertEqual(self.tool("consume", "-q", queue, "-c", "1", "cat"), b"routed")

    def test_delete_queue_counts_its_messages(self):
        queue = self.declared()
        for _ in range(3):
            self.tool("publish", "-r", queue, "-b", "x")
        self.assertEqual(self.tool("delete-queue", "-q", queue).strip(), b"3")

    def test_wrong_password_is_an_error(self):
        done = subprocess.run(
            ["/usr/bin/amqp-get", "-u", f"amqp://guest:wrong@127.0.0.1:{self.broker.port}",
             "-q", "any"], capture_output=True, timeout=TOOL_SECONDS, check=False)
        self.assertNotEqual(done.returncode, 0)


def perf(*arguments, code=0):
    """Runs warren-perf: (stdout, stderr). Fails unless it exits with `code`."""
    done = subprocess.run([PERF, *arguments], capture_output=True, text=True,
                          timeout=PERF_SECONDS, check=False)
    if done.returncode != code:
        raise AssertionError(f"warren-perf {arguments}: exit {done.returncode}\n"
                             f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout, done.stderr


class PerfCase(BrokerCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="warren_perf_")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    @property
    def uri(self):
        return f"amqp://guest:guest@127.0.0.1:{self.broker.port}"

    def json(self, *arguments, code=0):
        return json.loads(perf(*arguments, "--uri", self.uri, "--json", "-q", code=code)[0])

    def verified(self, *arguments, count=2000):
        """A run of `count` messages in which everything arrives."""
        figures = self.json("throughput", "-u", self.name(), "-s", "64", "-C", str(count), "-V",
                            "-z", "30", "--delete", *arguments)
        self.assertTrue(figures["verified"]["sound"], figures)
        self.assertEqual(figures["verified"]["checked"], count, figures)
        return figures


class PerfThroughput(PerfCase):
    def test_all_ways_to_publish_and_consume_lose_nothing(self):
        for options in ("",
                        "-p -c 100 -a 10 -P 50",
                        "-p -t 10 -a 7 -T 14",
                        "-g -a 1",
                        "-g",
                        "-x 3 -y 2 -X 2 -Y 2 -a 5",
                        "-x 2 -y 2 --queue-pattern vp-%d --queue-pattern-from 3 "
                        "--queue-pattern-to 7",
                        "-s 16-4096 -c 50",
                        "-s 16:50,1KiB:30,256KiB:1 -c 5",
                        "-e perf-topic --exchange-type topic -k key.%d --binding-key key.# ",
                        "--queue-args x-max-priority=5 --priority 0-4",
                        "--exclusive",
                        "--transient-queue --auto-delete",
                        "--property type=x,message_id=1 --header a=1",
                        "-r 20000 -R 20000 -l"):
            with self.subTest(options=options):
                self.verified(*options.split())

    # A queue that drops messages: the verifier is not fooled.
    def test_loss_is_an_exit_code(self):
        figures = self.json("throughput", "-u", self.name(), "-s", "64", "-C", "5000", "-V", "-y",
                            "1", "-R", "2000", "-P", "1", "-a", "1", "--queue-args",
                            "x-max-length=10", "-c", "1000", "-z", "30", "--delete", code=1)
        self.assertFalse(figures["verified"]["sound"])
        self.assertGreater(figures["verified"]["lost"], 0)

    # The last message of 1500 is due after 1.499 s, however fast or slow the machine is.
    def test_a_rate_is_kept_and_latencies_are_measured(self):
        figures = self.json("throughput", "-u", self.name(), "-r", "1000", "-c", "100", "-l", "-C",
                            "1500", "-D", "1500", "-z", "50", "--delete")
        self.assertGreaterEqual(figures["seconds"], 1.499)
        for what in ("delivery_latency", "confirm_latency"):
            self.assertEqual(figures[what]["count"], 1500)
            self.assertLessEqual(figures[what]["p50_ms"], figures[what]["p99_ms"])

    def test_the_broker_process_is_found_by_its_port(self):
        figures = self.json("throughput", "-u", self.name(), "-C", "100000", "-z", "50",
                            "--delete")
        self.assertGreater(figures["server_cpu_seconds"], 0)
        self.assertGreater(figures["server_anonymous_peak_bytes"], 1 << 20)

    def load(self, *arguments, **where):
        """A load that goes on until the test ends."""
        running = subprocess.Popen([PERF, "throughput", "--uri", self.uri, "-u", self.name(), "-z",
                                    "3600", *arguments], stdout=subprocess.DEVNULL, **where)
        self.addCleanup(running.wait)
        self.addCleanup(running.kill)
        return running

    def test_progress_goes_to_stderr_line_by_line(self):
        with self.load("-r", "100", stderr=subprocess.PIPE, text=True).stderr as shown:
            for _ in range(2):
                self.assertRegex(shown.readline(), r"^ *\d+ s  published .*\n$")
        out, quiet = perf("throughput", "--uri", self.uri, "-u", self.name(), "-z", "1.2", "-q",
                          "--delete")
        self.assertIn("published", out)
        self.assertEqual(quiet, "")

    def test_a_csv_can_be_drawn(self):
        rows, drawing = self.folder / "rows.csv", self.folder / "rows.svg"
        self.load("-r", "200", "-l", "-c", "10", "-q", "--csv", str(rows))
        written = lambda: rows.read_text(encoding="ascii") if rows.exists() else ""
        self.wait_for("two rows", lambda: written().count("\n") >= 3, seconds=PERF_SECONDS)
        lines = written().splitlines()[:3]
        rows = self.folder / "first_rows.csv"
        rows.write_text("\n".join(lines) + "\n", encoding="ascii")
        self.assertTrue(lines[0].startswith("seconds,published,"))
        perf("plot", str(rows), str(rows), "--names", "one,other & more", "-o", str(drawing))
        root = xml.etree.ElementTree.parse(drawing).getroot()
        texts = [element.text for element in root.iter() if element.tag.endswith("text")]
        self.assertIn("other & more published", texts)
        self.assertIn("Confirm latency", texts)


class PerfFailures(PerfCase):
    def refused(self, code, *arguments):
        return perf(*arguments, "-z", "5", code=code)[1]

    def test_no_broker_is_exit_3(self):
        shown = self.refused(3, "throughput", "--uri", "amqp://127.0.0.1:1")
        self.assertIn("127.0.0.1:1", shown)
        self.assertIn("Connection refused", shown)
        self.assertIn("--uri", shown)

    def test_a_wrong_password_is_exit_3(self):
        wrong = self.uri.replace("guest:guest", "guest:wrong")
        self.assertIn("ACCESS_REFUSED", self.refused(3, "throughput", "--uri", wrong))

    def test_wrong_options_are_exit_2(self):
        perf("throughput", "--no-such-option", code=2)
        perf("throughput", "-s", "large", code=2)
        perf("plot", str(self.folder / "none.csv"), code=2)
        perf(code=2)
        self.assertIn("'bogus' is no command", self.refused(2, "bogus"))
        self.assertIn("'foo' is no command", perf("churn", "foo", code=2)[1])
        self.assertIn("--pid", self.refused(2, "throughput", "--uri", self.uri, "--pid",
                                            "999999999"))
        self.assertIn("0 is no rate", self.refused(2, "rates", "--uri", self.uri, "--rates", "0"))
        perf("deep", "fill", "--uri", self.uri, "-n", "0", code=2)
        perf("deep", "fill", "--uri", self.uri, "--data-dir", str(self.folder / "none"), code=2)
        # Nothing is stopped that is only of the same port.
        shown = perf("deep", "restart", "--uri", f"amqp://192.0.2.1:{self.broker.port}",
                     "--command", "false", code=2)[1]
        self.assertIn("--pid", shown)
        self.assertTrue(self.broker.running())

    def test_what_the_broker_refuses_is_told_with_its_words(self):
        queue = self.name()
        self.channel().queue_declare(queue)
        shown = self.refused(1, "throughput", "--uri", self.uri, "-u", queue)
        self.assertIn("406", shown)
        self.assertIn("--passive", shown)
        shown = self.refused(1, "throughput", "--uri", self.uri, "-u", queue, "--passive", "-e",
                             "no-such")
        self.assertIn("no exchange 'no-such'", shown)
        self.assertIn("--exchange-type", shown)

    def test_a_broker_that_dies_ends_the_run(self):
        broker = Broker().start()
        self.addCleanup(broker.close)
        load = subprocess.Popen([PERF, "throughput", "--uri",
                                 f"amqp://guest:guest@127.0.0.1:{broker.port}", "-z", "30"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(load.kill)
        load.stderr.readline()  # it runs
        broker.kill()
        shown = load.communicate(timeout=PERF_SECONDS)[1]
        self.assertEqual(load.returncode, 1, shown)
        self.assertIn("the connection broke", shown)


class PerfWorkloads(PerfCase):
    def test_rates_rise_step_by_step(self):
        steps = self.json("rates", "--rates", "200,1000", "-z", "1", "-w", "0.2")["steps"]
        self.assertEqual([step["rate"] for step in steps], [200, 1000])
        for step in steps:
            self.assertGreater(step["delivery_latency"]["count"], 0)
            # Not more than was due; what was due before may have come late.
            self.assertLessEqual(step["published"], step["rate"] * (step["seconds"] + 1))

    def test_rates_end_at_saturation(self):
        figures = self.json("rates", "--from", "1000", "--factor", "10", "-R", "2000", "-a", "1",
                            "-P", "10", "-z", "1", "-w", "0.2")
        rates = [step["rate"] for step in figures["steps"]]
        self.assertIn(rates, ([1000], [1000, 10000]))

    def test_sizes_rise_step_by_step(self):
        steps = self.json("sizes", "--sizes", "16,4KiB", "-z", "1", "-w", "0.1")["steps"]
        self.assertEqual([step["size"] for step in steps], [16, 4096])
        # Counted one after the other while it runs: not quite together.
        for step in steps:
            self.assertGreater(step["published_bytes"], step["published"] * step["size"] / 2)
            self.assertLess(step["published_bytes"], step["published"] * step["size"] * 2)

    def test_compare_holds_the_first_against_the_others(self):
        out = perf("compare", self.uri, self.uri, "--names", "one,two", "--pairs", "2", "-z",
                   "1", "-w", "0.1", "--pause", "0", "--json", "-q")[0]
        figures = json.loads(out)
        self.assertEqual([broker["name"] for broker in figures["brokers"]], ["one", "two"])
        for broker in figures["brokers"]:
            self.assertEqual(len(broker["runs"]), 2)
            self.assertGreater(broker["medians"]["publish_rate"], 0)
        # Options that take lists leave the brokers alone.
        shown = perf("compare", "--pairs", "1", "-z", "0.3", "-w", "0", "-q", "--names", "one,two",
                     self.uri, "--queue-args", "x-max-length=100000", self.uri)[0]
        self.assertIn("one / two", shown)

    def test_churn_makes_and_removes(self):
        for kind in ("connections", "channels", "queues", "bindings", "consumers"):
            with self.subTest(kind=kind):
                figures = self.json("churn", kind, "-x", "2", "-z", "0.5")
                self.assertGreater(figures["pairs"], 0)
                self.assertIn("server_cpu_us_per_pair", figures)
        busy = self.json("churn", "queues", "--transient-queue", "--busy-wait", "-z", "0.3")
        self.assertGreater(busy["pairs"], 0)
        self.assertTrue(busy["busy_wait"])

    def test_counts_hold_things_and_let_go(self):
        for kind in ("connections", "queues", "bindings"):
            with self.subTest(kind=kind):
                figures = self.json("counts", kind, "-n", "200")
                self.assertEqual(figures["count"], 200)
                self.assertGreater(figures["server_anonymous_held_bytes"], 0)

    def test_a_deep_queue_is_filled_restarted_and_drained(self):
        broker = Broker().start()
        self.addCleanup(broker.close)
        uri = f"amqp://guest:guest@127.0.0.1:{broker.port}"
        options = ("--uri", uri, "--json", "-q", "-u", "deep")
        filled = json.loads(perf("deep", "fill", *options, "-n", "20000", "--data-dir",
                                 broker.data_dir)[0])
        self.assertEqual(filled["confirmed"], 20000)
        self.assertGreater(filled["disk_bytes"], 20000 * 100)
        again = json.loads(perf("deep", "restart", "--uri", uri, "--json", "-u", "deep",
                                "--command", shlex.join(broker.command()), "--stop")[0])
        self.assertFalse(broker.running())  # it was killed
        self.assertEqual(again["messages"], 20000)
        self.assertGreater(again["first_delivery_seconds"], 0)
        broker.start()
        drained = json.loads(perf("deep", "drain", *options, "-V")[0])
        self.assertEqual(drained["consumed"], 20000)
        self.assertTrue(drained["verified"]["sound"], drained)
        perf("deep", "drain", *options, code=1)
        shown = perf("deep", "restart", "--uri", uri, "-u", "deep", "--command", "false",
                     code=1)[1]
        self.assertIn("has ended", shown)

    def test_completion_is_a_script_that_knows_the_commands(self):
        script = perf("completion")[0]
        subprocess.run(["bash", "-n"], input=script, text=True, check=True, timeout=TOOL_SECONDS)
        for word in ("throughput", "compare", "--queue-pattern", "restart", "--exchange-type"):
            self.assertIn(word, script)
        for typed, wanted in (("warren-perf thr", "throughput"),
                              ("warren-perf throughput -u rates --conf", "--confirm"),
                              ("warren-perf deep re", "restart"),
                              ("warren-perf throughput --exchange-type to", "topic"),
                              ("warren-perf plot -o /de", "/dev")):
            self.assertIn(wanted, completed(script, typed), typed)
        self.assertNotIn("--confirm", completed(script, "warren-perf plot --"))

    def test_every_command_has_help(self):
        shown = perf("--help")[0]
        for command in ("throughput", "rates", "sizes", "compare", "churn", "counts", "deep",
                        "plot"):
            self.assertIn(command, shown)
            self.assertIn("xample", perf(command, "--help")[0])


if __name__ == "__main__":
    run()
