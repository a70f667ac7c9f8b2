# SPDX-License-Identifier: Apache-2.0
"""A warrend of the test's own: started on a free port of loopback, stopped, killed, restarted.

WARREN_BROKER   the program (default: build/release/bin/warrend)
WARREN_THREADS  shard threads (default 2)
WARREN_ATTACH   host:port of a broker that already runs: nothing is started, and tests that need
                to kill or restart are skipped. To hold a test against another broker.
"""

import ctypes
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("WARREN_BROKER", str(ROOT / "build/release/bin/warrend"))
THREADS = int(os.environ.get("WARREN_THREADS", "2"))
ATTACH = os.environ.get("WARREN_ATTACH", "")
READY = re.compile(r"ready to serve.*?address=\S*?(\d+\.\d+\.\d+\.\d+):(\d+)")
START_SECONDS = 30
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)
STOP_SECONDS = 30


def _die_with_parent():
    """A test that is stopped from outside leaves no broker behind."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Broker:
    """Runs warrend in the foreground of a child process, its log in <folder>/warrend.log."""

    def __init__(self, *options, data_dir=None, threads=THREADS):
        self.options = list(options)
        self.folder = tempfile.mkdtemp(prefix="warren_e2e_")
        self.data_dir = str(data_dir or pathlib.Path(self.folder, "data"))
        self.threads = threads
        self.environment = {}  # on top of ours
        self.log_path = pathlib.Path(self.folder, "warrend.log")
        self.process = None
        self.host, self.port = "127.0.0.1", 0
        self.start_seconds = 0.0

    @property
    def pid(self):
        return self.process.pid

    def command(self):
        # After a restart the port stays the same, so that a client's address stays good.
        return [PROGRAM, "--data-dir", self.data_dir, "--listen", f"127.0.0.1:{self.port}",
                "--threads", str(self.threads), *self.options]

    def start(self):
        if ATTACH:
            host, port = ATTACH.split(":")
            self.host, self.port = host, int(port)
            return self
        began = time.monotonic()
        log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT,
                                            env={**os.environ, **self.environment},
                                            preexec_fn=_die_with_parent)
        while True:
            ready = READY.search(self.log_text(log_start))
            if ready:
                break
            if self.process.poll() is not None:
                raise RuntimeError(f"warrend left with {self.process.returncode}:\n"
                                   + self.log_text(log_start))
            if time.monotonic() - began > START_SECONDS:
                self.kill()
                raise RuntimeError(f"not ready after {START_SECONDS} s:\n"
                                   + self.log_text(log_start))
            time.sleep(0.002)
        self.start_seconds = time.monotonic() - began
        self.host, self.port = ready.group(1), int(ready.group(2))
        return self

    def run_to_exit(self, seconds=START_SECONDS):
        """For a start that must be refused: (exit code, what it said)."""
        done = subprocess.run(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False,
                              env={**os.environ, **self.environment})
        return done.returncode, done.stdout

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9."""
        self._needs_own()
        if self.running():
            self.process.kill()
        if self.process is not None:
            self.process.wait(STOP_SECONDS)

    def terminate(self):
        """SIGTERM, and wait: the exit code."""
        self._needs_own()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def restart(self, how="terminate"):
        getattr(self, how)()
        return self.start()

    def log_text(self, start=0):
        if not self.log_path.exists():
            return ""
        with open(self.log_path, "rb") as log:
            log.seek(start)
            return log.read().decode("utf-8", "replace")

    def anonymous_memory_mb(self):
        """What the broker's heap and stacks hold, without mapped files."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"RssAnon:\s+(\d+) kB", status).group(1)) / 1024

    def close(self):
        """Stops what runs and removes the folder."""
        if self.running():
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _needs_own(self):
        if ATTACH:
            raise unittest.SkipTest("WARREN_ATTACH: that broker is not ours to stop")
