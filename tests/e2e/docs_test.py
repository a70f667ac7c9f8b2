#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The documents tell the truth: the README's program runs, every option is documented."""

import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from broker_process import PROGRAM, ROOT
from e2e_case import BrokerCase, run


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


class Programs(BrokerCase):
    def run_program(self, source):
        here = source.replace('"127.0.0.1", 5672', f'"127.0.0.1", {self.broker.port}')
        self.assertNotEqual(here, source)
        done = subprocess.run([sys.executable, "-c", here], capture_output=True, text=True,
                              timeout=30, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Hello Warren", done.stdout)

    def test_the_program_in_the_readme_works(self):
        self.run_program(re.search(r"```python\n(.*?)```", text_of("README.md"), re.S).group(1))

    def test_the_program_that_scripts_run_prints_works(self):
        printed = re.search(r"python3 -c '\n(.*?)'\n", text_of("scripts/run"), re.S)
        self.run_program(printed.group(1))


class Documents(unittest.TestCase):
    def test_every_option_is_documented_with_its_default(self):
        shown = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, timeout=20,
                               check=True).stdout
        options = re.findall(r"^  --([a-z-]+) [A-Z:]+(?:=(\S+))?", shown, re.M)
        self.assertGreater(len(options), 10)
        document = text_of("docs/configuration.md")
        for name, default in options:
            row = re.search(rf"^\| `--{name} [A-Z:]+` \| (.*?) \|", document, re.M)
            self.assertIsNotNone(row, f"--{name} is missing in docs/configuration.md")
            if default and name != "threads":
                self.assertIn(default, row.group(1), f"--{name}")
        documented = re.findall(r"^\| `--([a-z-]+) ", document, re.M)
        self.assertEqual(sorted(documented), sorted(name for name, _ in options))

    def test_links_between_documents_lead_somewhere(self):
        for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/compatibility.md",
                     "docs/durability.md", "docs/dump.md", "docs/performance.md"):
            folder = (ROOT / name).parent
            for target in re.findall(r"\]\(([^)#:]+)\)", text_of(name)):
                self.assertTrue((folder / target).exists(), f"{name}: {target}")

    def test_the_tests_behind_each_guarantee_are_there(self):
        sources = [path.read_text(encoding="utf-8", errors="replace")
                   for path in (ROOT / "tests").rglob("*") if path.suffix in (".cc", ".h", ".py")]
        named = re.findall(r"`([A-Z][A-Za-z]+)\.(\w+)`", text_of("docs/durability.md"))
        self.assertGreater(len(named), 15)
        for suite, test in named:
            unit = re.compile(rf"TEST\w*\(\s*{suite},\s*{test}\)")
            self.assertTrue(any(unit.search(source) or
                                (f"class {suite}(" in source and f"def {test}(" in source) or
                                (suite == "Kills" and f"def {test}(" in source)
                                for source in sources), f"{suite}.{test}")


if __name__ == "__main__":
    run()
