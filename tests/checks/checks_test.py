#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The checks find what they are for: each rule is broken once in a small tree of its own."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"
HEAD = "// SPDX-License-Identifier: Apache-2.0\n"


class Tree(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="warren_checks_")
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)

    def write(self, name, text, mode=0o644):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)

    def run_check(self, script, *args):
        done = subprocess.run([sys.executable, SCRIPTS / script, *args], capture_output=True,
                              text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    def expect(self, script, *texts):
        code, output = self.run_check(script, self.root)
        self.assertEqual(code, 1, output)
        for text in texts:
            self.assertIn(text, output)

    def expect_clean(self, script):
        code, output = self.run_check(script, self.root)
        self.assertEqual(code, 0, output)


class Layers(Tree):
    def include(self, file, target):
        self.write(file, HEAD + f"#include {target}\n")

    def test_downward_and_own_includes_are_fine(self):
        self.include("server/broker/a.cc", '"server/broker/b.h"')
        self.include("server/session/a.cc", '"server/broker/b.h"')
        self.include("server/broker/c.cc", '"storage/engine/store.h"')
        self.include("server/net/a.cc", "<boost/asio/ip/tcp.hpp>")
        self.include("storage/kv/a.cc", "<rocksdb/db.h>")
        self.expect_clean("check_layers.py")

    def test_upward_includes_are_found(self):
        self.include("storage/engine/a.cc", '"server/broker/b.h"')
        self.include("server/broker/a.cc", '"server/session/b.h"')
        self.expect("check_layers.py", "storage/engine/a.cc:2", "server/broker/a.cc:2")

    def test_storage_is_seen_through_its_door_only(self):
        self.include("server/broker/a.cc", '"storage/engine/committer.h"')
        self.include("server/session/b.cc", '"storage/engine/store.h"')
        self.expect("check_layers.py", "server/broker/a.cc:2", "server/session/b.cc:2")

    def test_libraries_stay_in_their_rooms(self):
        self.include("storage/engine/a.cc", "<rocksdb/db.h>")
        self.include("server/broker/a.cc", "<boost/asio.hpp>")
        self.expect("check_layers.py", "storage/engine/a.cc:2", "server/broker/a.cc:2")

    def test_state_machines_have_no_threads_and_no_sockets(self):
        self.include("server/session/a.cc", "<thread>")
        self.include("server/amqp/a.cc", "<sys/socket.h>")
        self.expect("check_layers.py", "server/session/a.cc:2", "server/amqp/a.cc:2")

    def test_includes_are_written_from_the_root(self):
        self.include("server/broker/a.cc", '"b.h"')
        self.expect("check_layers.py", "not written from the root")

    def test_nothing_sees_the_tests(self):
        self.include("server/app/a.cc", '"tests/support/b.h"')
        self.expect("check_layers.py", "server/app/a.cc:2")

    def test_an_empty_tree_is_not_a_pass(self):
        self.expect("check_layers.py", "0 files")


class Budgets(Tree):
    def code(self, body, name="server/broker/a.cc"):
        self.write(name, HEAD + body)

    def test_clean_code_passes(self):
        self.code('void f() {\n  auto text = "new default: text";\n  use(text);\n}\n')
        self.expect_clean("tidy.py")

    def test_long_things_are_found(self):
        self.code("void f() {\n" + "  g();\n" * 70 + "}\n")
        self.code("int x;\n" * 500, "server/broker/b.cc")
        self.code("int " + "x" * 100 + ";\n", "server/broker/c.cc")
        self.expect("tidy.py", "a.cc:2: function of 72 lines", "b.cc: 501 lines", "c.cc:2: 105 col")

    def test_banned_words_are_found(self):
        for number, line in enumerate(["std::cout << std::endl;", "thread.detach();", "assert(x);",
                                       "auto* p = new Queue;", "std::this_thread::sleep_for(1s);",
                                       "int a = rand();"]):
            self.code(line + "\n", f"server/broker/f{number}.cc")
        self.expect("tidy.py", *[f"f{number}.cc:2" for number in range(6)])

    def test_owned_new_is_fine(self):
        self.code("std::unique_ptr<Queue> p(new Queue);\n")
        self.expect_clean("tidy.py")

    def test_work_promised_for_later_is_found(self):
        self.code("// TO" + "DO: bound this\n")
        self.expect("tidy.py", "promises later work")

    def test_temporaries_in_co_await_are_found(self):
        self.code("co_await f(Options{.n = 1});\n", "server/net/a.cc")
        self.code("co_await f([x] { return x; });\n", "server/net/b.cc")
        self.code("co_await f(buffers[0], token);\n", "server/net/c.cc")
        self.expect("tidy.py", "a.cc:2", "b.cc:2", "2 findings")

    def test_default_in_a_switch_over_our_enum_is_found(self):
        self.code("switch (state) {\n  case State::open:\n    break;\n  default:\n    break;\n}\n")
        self.expect("tidy.py", "has a default")

    def test_headers_are_guarded_and_included_first(self):
        self.code("int f();\n", "server/broker/a.h")
        self.code('#include <string>\n#include "server/broker/a.h"\n')
        self.expect("tidy.py", "no #pragma once", "own header first")

    def test_scripts_are_executable_and_nothing_else_is(self):
        self.write("scripts/a", "#!/bin/sh\n")
        self.write("docs/b.md", "text\n", 0o755)
        self.expect("tidy.py", "scripts/a: has #!", "docs/b.md: executable")


class Summary(Tree):
    """A red suite can never read green, whatever breaks."""

    def results(self, statuses, cases=None, testcases=""):
        for name, status in statuses.items():
            self.write(f"{name}.status", str(status))
        if testcases:
            self.write("tests-release/ctest.xml", f"<testsuite>{testcases}</testsuite>")
        for name, text in (cases or {}).items():
            self.write(f"tests-release/cases/{name}.json", text)
        code, self.output = self.run_check("test_summary.py", self.root)
        return code, self.output.splitlines()[-1]

    def test_cases_are_added_up(self):
        line = self.results({"packages": 0, "tests-release": 0},
                            {"a": '{"tests": 5, "failures": 0, "disabled": 1}'},
                            '<testcase name="a" status="run"/><testcase name="b" status="run"/>')
        self.assertEqual(line, (0, "6 passed, 0 failed"))

    def test_failed_cases_are_counted(self):
        line = self.results({"tests-release": 8}, {"a": '{"tests": 5, "failures": 2}'},
                            '<testcase name="a" status="fail"/>')
        self.assertEqual(line, (1, "3 passed, 2 failed"))

    def test_a_program_that_dies_counts_though_no_case_failed(self):
        line = self.results({"tests-release": 8}, {"a": '{"tests": 5, "failures": 0}'},
                            '<testcase name="a" status="fail"/>'
                            '<testcase name="b" status="notrun"/>')
        self.assertEqual(line, (1, "5 passed, 2 failed"))

    def test_what_programs_count_is_added_up(self):
        said = "noise\ncounted {} kills\n[ PASSED ] counted 9 not at the start of a line\n"
        self.results({"tests-release": 0}, {}, "".join(
            f'<testcase name="{number}" status="run"><system-out>{said.format(number)}'
            "</system-out></testcase>" for number in (25, 26)))
        self.assertIn("tests-release: 51 kills\n", self.output)

    def test_a_broken_build_is_a_failure(self):
        self.assertEqual(self.results({"packages": 0, "build-release": 1}),
                         (1, "1 passed, 1 failed"))

    def test_a_suite_that_failed_without_cases_is_a_failure(self):
        self.assertEqual(self.results({"tests-release": 8}), (1, "0 passed, 1 failed"))

    def test_nothing_run_is_a_failure(self):
        self.assertEqual(self.results({}), (1, "0 passed, 1 failed"))


if __name__ == "__main__":
    os.environ.pop("GIT_DIR", None)
    unittest.main()
