# SPDX-License-Identifier: Apache-2.0
"""The brokers that are measured: started on loopback, in a folder of their own, stopped again. And
the machine below them."""

import contextlib
import os
import pathlib
import platform
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RABBITMQ = pathlib.Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
POLICY = pathlib.Path("/usr/sbin/policy-rc.d")
START_SECONDS = 120
STOP_SECONDS = 60


def say(text):
    print(f"{pathlib.Path(sys.argv[0]).name}: {text}", file=sys.stderr, flush=True)


def default_bin():
    return ROOT / "build/release/bin"


def default_work():
    return ROOT / "build"


def build_tools(folder):
    if all((folder / name).exists() for name in ("warrend", "warren-perf")):
        return
    subprocess.run([str(ROOT / "scripts/dev"), "build", "release", "warrend", "warren-perf"],
                   check=True, stdout=sys.stderr)


def machine():
    model = ""
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": model, "cores": os.cpu_count(), "memory_gib": round(memory / 2**30, 1),
            "kernel": platform.release()}


def file_system(path):
    done = subprocess.run(["findmnt", "-n", "-o", "FSTYPE", "-T", str(path)], capture_output=True,
                          text=True, timeout=20, check=False)
    return done.stdout.strip()


def free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


@contextlib.contextmanager
def no_services():
    """Debian starts what it installs, unless this file forbids it. An own one is left alone."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def install_rabbitmq():
    if RABBITMQ.exists():
        return
    apt = ["apt-get", "-q", "-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=300"]
    if os.geteuid() != 0:
        sys.exit("compare_peers: rabbitmq-server is missing. As root: scripts/perf/compare_peers "
                 "--install-only")
    say("installing Debian's rabbitmq-server (it is not started as a service)")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    with no_services():
        for step in (["update"], ["install", "-y", "--no-install-recommends", "rabbitmq-server"]):
            subprocess.run(apt + step, env=environment, check=True, timeout=900,
                           stdout=sys.stderr)


def package_version(name):
    done = subprocess.run(["dpkg-query", "-W", "-f=${Version}", name], capture_output=True,
                          text=True, timeout=20, check=False)
    return done.stdout.strip()


class Broker:
    """A child process that serves 127.0.0.1:port. `command` and `environment` also serve to start
    it from elsewhere."""

    def __init__(self, name, folder, port):
        self.name = name
        self.folder = pathlib.Path(folder)
        self.port = port
        self.uri = f"amqp://guest:guest@127.0.0.1:{port}"
        self.log = self.folder / "log"
        self.process = None
        self.environment = {}
        self.command = []
        self.data_dir = self.folder / "data"
        self.version = ""
        self.folder.mkdir(parents=True, exist_ok=True)

    def command_line(self):
        """For a shell, with the environment in front."""
        words = [f"{name}={value}" for name, value in self.environment.items()] + self.command
        return " ".join(shlex.quote(word) for word in words)

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, start_new_session=True,
                                            env=dict(os.environ, **self.environment))
        deadline = time.monotonic() + START_SECONDS
        while not self.serves():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                text = self.log.read_text(encoding="utf-8", errors="replace")
                raise RuntimeError(f"{self.name} did not start:\n{text[-3000:]}")
            time.sleep(0.2)
        return self

    def serves(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as probe:
                probe.sendall(b"AMQP\0\0\x09\x01")
                return probe.recv(1) == b"\x01"
        except OSError:
            return False

    def stop(self):
        """Also what it started: it leads a session."""
        if self.process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                break
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                continue
        self.process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Warren(Broker):
    kind = "warren"

    def __init__(self, folder, threads, program):
        super().__init__(f"warren-t{threads}", folder, free_ports(1)[0])
        self.command = [str(program), "--data-dir", str(self.data_dir), "--listen",
                        f"127.0.0.1:{self.port}", "--threads", str(threads)]
        self.version = subprocess.run([str(program), "--version"], capture_output=True, text=True,
                                      timeout=20, check=True).stdout.strip()


class RabbitMq(Broker):
    kind = "rabbitmq"

    def __init__(self, folder):
        port, dist, self.epmd = free_ports(3)
        super().__init__("rabbitmq", folder, port)
        config = self.folder / "rabbitmq.conf"
        config.write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\n"
                          "disk_free_limit.absolute = 1MB\n", encoding="ascii")
        (self.folder / "plugins").write_text("[].\n", encoding="ascii")
        none = self.folder / "none"
        self.environment = {
            "HOME": self.folder, "ERL_EPMD_ADDRESS": "127.0.0.1", "ERL_EPMD_PORT": self.epmd,
            "RABBITMQ_NODENAME": "warren_compare@localhost", "RABBITMQ_DIST_PORT": dist,
            "RABBITMQ_MNESIA_BASE": self.data_dir, "RABBITMQ_LOG_BASE": self.folder / "logs",
            "RABBITMQ_CONFIG_FILE": config,
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.folder / "plugins",
            "RABBITMQ_ADVANCED_CONFIG_FILE": none, "RABBITMQ_CONF_ENV_FILE": none,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        self.environment = {name: str(value) for name, value in self.environment.items()}
        self.command = [str(RABBITMQ)]
        self.version = "rabbitmq-server " + package_version("rabbitmq-server")

    def close(self):
        super().close()
        subprocess.run(["epmd", "-port", str(self.epmd), "-kill"], capture_output=True, timeout=20,
                       check=False)
