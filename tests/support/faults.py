# SPDX-License-Identifier: Apache-2.0
"""Makes a broker's disk and clock misbehave, while it runs: tests/support/faults/faults.cc is
preloaded into it and reads what the test writes here. WARREN_FAULTS_LIBRARY names the library."""

import errno
import mmap
import os
import pathlib
import struct

from broker_process import ROOT

LIBRARY = os.environ.get("WARREN_FAULTS_LIBRARY",
                         str(ROOT / "build/release/lib/libwarren_faults.so"))
PAGE_BYTES = 4096
# In the order of faults.cc.
FIELDS = ("wall_offset_ms", "sync_delay_us", "syncs_left", "writes_left", "error", "disk_bytes",
          "refused", "reads_left", "read_kinds", "read_inode", "reads_refused",
          "read_offset", "read_delay_us")
TABLES, BLOBS, LOGS, OTHERS = 1, 2, 4, 8  # read_kinds
EVERY_KIND = TABLES | BLOBS | LOGS | OTHERS
CALM = {"syncs_left": -1, "writes_left": -1, "error": errno.EIO, "reads_left": -1,
        "read_kinds": EVERY_KIND, "read_offset": -1}


class Faults:
    """faults.sync_delay_us = 20_000 makes each fsync of the broker take 20 ms, and so on:

    wall_offset_ms  added to the wall clock
    sync_delay_us   before each fsync
    syncs_left      so many fsyncs go well, then each fails and takes its bytes along (-1: none)
    writes_left     so many writes go well, then each fails (-1: none)
    error           what they fail with (EIO)
    disk_bytes      the size of the disk (0: as it is)
    refused         counts what failed
    reads_left      so many reads of the store's files go well, then each fails with EIO (-1: none)
    read_kinds      of which files: TABLES, BLOBS, LOGS, OTHERS
    read_inode      ... or only of this one of them
    read_offset     ... that need this byte of it (-1: any)
    read_delay_us   how long they take to fail
    reads_refused   counts these
    """

    def __init__(self, broker):
        path = pathlib.Path(broker.folder, "faults")
        path.write_bytes(bytes(PAGE_BYTES))
        with open(path, "r+b") as file:
            self.__dict__["_page"] = mmap.mmap(file.fileno(), PAGE_BYTES)
        self.calm_down()
        pathlib.Path(broker.data_dir).mkdir(mode=0o700, exist_ok=True)
        broker.environment = {"LD_PRELOAD": LIBRARY, "WARREN_FAULTS": str(path),
                              "WARREN_FAULTS_DIR": broker.data_dir}

    def __getattr__(self, name):
        return struct.unpack_from("=q", self._page, 8 * FIELDS.index(name))[0]

    def __setattr__(self, name, value):
        struct.pack_into("=q", self._page, 8 * FIELDS.index(name), value)

    def calm_down(self):
        for name in FIELDS:
            setattr(self, name, CALM.get(name, 0))
