# SPDX-License-Identifier: Apache-2.0
"""A broker whose disk alarm a test raises and clears: what runs so shares the machine's disk with
other tests, but not with another of its kind (RESOURCE_LOCK disk in tests/e2e/CMakeLists.txt)."""

import os
import pathlib
import shutil

from broker_process import Broker
from e2e_case import BrokerCase


class FullDiskCase(BrokerCase):
    @classmethod
    def setUpClass(cls):
        """The limit lies so much below what is free now that other users of the disk do not matter;
        a file of twice that size crosses it."""
        cls.broker = Broker()
        cls.addClassCleanup(cls.broker.close)
        free = shutil.disk_usage(cls.broker.folder).free
        cls.margin = min(8 << 30, free // 8)
        cls.broker.options += ["--disk-free-limit", str(free - cls.margin)]
        cls.ballast = pathlib.Path(cls.broker.folder, "ballast")
        cls.broker.start()

    def setUp(self):
        self.addCleanup(self.wait_for, "all clear", lambda: not self.alarm())
        self.addCleanup(self.ballast.unlink, missing_ok=True)

    def fill(self):
        with open(self.ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, 2 * self.margin)
        self.wait_for("alarm", self.alarm)

    def alarm(self):
        """Does the log say that it is raised?"""
        log = self.broker.log_text()
        return log.rfind("disk alarm raised") > log.rfind("disk alarm cleared")
