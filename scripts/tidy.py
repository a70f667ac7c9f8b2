#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""House rules a compiler does not check (CONTRIBUTING.md, Budgets). One line per finding.

File 500 lines, function 70, line 100 columns; banned words; header guards and own-header-first;
nothing built inside a co_await expression (g++ 12.2 destroys such temporaries twice); scripts
are executable and nothing else is. Generated files (gen/, *.gen.h) and data are exempt.
  scripts/tidy.py [root]
"""

import os
import pathlib
import re
import subprocess
import sys

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
CODE = (".h", ".cc")
TEXT = CODE + (".py", ".sh", ".txt", ".cmake", ".proto", "")

# (pattern, why, where it does not apply)
BANNED = [
    (r"std::endl", "flushes; write '\\n'", ()),
    (r"\.detach\(\)", "a thread is owned and joined", ()),
    (r"\bsleep_for\b|\bsleep_until\b|\busleep\(", "wait for an event",
     ("server/tools/", "tests/", "storage/kv/rocks_doctor.cc")),
    (r"\bstd::views\b|\branges::views?\b|\bstd::ranges::\w+_view\b",
     "views do not compile with clang 14", ()),
    (r"\bstd::source_location\b", "use boost::source_location", ()),
    (r"(?<![\w:.])s?rand\(", "use a seeded generator", ()),
    (r"\bstd::random_device\b", "seeds come from outside", ("server/app/", "server/tools/",
                                                            "tests/")),
    (r"(?<![\w_])assert\(", "use WARREN_ASSERT, which stays on in release", ()),
    (r"(?<!unique_ptr<)\bnew\s+[A-Za-z_:]", "naked new: use make_unique, or hand it to a smart "
     "pointer in the same statement", ()),
    (r"\bstd::format\b|\bstd::expected\b", "not in g++ 12", ()),
]
SMART_NEW = re.compile(r"(unique_ptr|intrusive_ptr|shared_ptr|Ref)\b.*\bnew\s")
PROMISES = re.compile(r"\b(TODO(?!\(#\d+\))|FIXME|XXX|HACK)\b")
CAPTURE = re.compile(r"(?<![\w)\]])\[\s*[\w&=*]")
NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|'
                      r"(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.DOTALL)
ENUM_CASE = re.compile(r"\bcase\s+(?:\w+::)+[a-z]\w*\s*:")
HEAD = re.compile(r"^(?!\s*(if|for|while|switch|else|do|try|catch|namespace|return|case|extern|"
                  r"class|struct|enum|union)\b).*\)[^;={}]*\{\s*$")


def tracked(root):
    """Files git knows or would add: what a clone or the next commit holds."""
    if (root / ".git").exists():
        out = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard", "-z"],
                             check=True, capture_output=True, timeout=60).stdout
        names = sorted(set(out.decode().split("\0")) - {""})
    else:
        names = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
    return [name for name in names if (root / name).is_file()]


def exempt(name):
    return ("/gen/" in name or ".gen." in name or "/corpus/" in name or "/old_crashes/" in name
            or name.startswith("build/"))


def strip_code(text):
    """The text with comments, strings and character literals blanked, line structure kept."""
    def blank(found):
        if found.group()[0] in '"R':
            return '""' + "\n" * found.group().count("\n")
        return re.sub(r"[^\n]", " ", found.group())
    return NOT_CODE.sub(blank, text)


def function_lengths(lines):
    """(first line, length) of every function body, by counting braces from its head."""
    index = 0
    while index < len(lines):
        if not HEAD.match(lines[index]):
            index += 1
            continue
        start, depth = index, 0
        while index < len(lines):
            depth += lines[index].count("{") - lines[index].count("}")
            index += 1
            if depth <= 0:
                break
        yield start + 1, index - start


def await_errors(name, code):
    """g++ 12.2: aggregate and capturing-lambda temporaries in a co_await die twice."""
    for found in re.finditer(r"\bco_await\b[^;]*;", code):
        body = found.group()
        if "{" in body or CAPTURE.search(body):
            line = code.count("\n", 0, found.start()) + 1
            yield f"{name}:{line}: names every argument before co_await (g++ 12.2)"


def switch_errors(name, code):
    """A switch over our enumerators has no default, so that the compiler finds a missing case."""
    for found in re.finditer(r"\bswitch\s*\(", code):
        depth, end = 0, code.find("{", found.end())
        start = end
        while end < len(code):
            depth += {"{": 1, "}": -1}.get(code[end], 0)
            end += 1
            if depth == 0:
                break
        body = code[start:end]
        if ENUM_CASE.search(body) and re.search(r"\bdefault\s*:", body):
            line = code.count("\n", 0, found.start()) + 1
            yield f"{name}:{line}: switch over an enum of ours has a default"


def header_errors(name, text, code, root):
    if name.endswith(".h"):
        if "#pragma once" not in text:
            yield f"{name}:1: no #pragma once"
        if re.search(r"^\s*using\s+namespace\b", code, re.MULTILINE):
            yield f"{name}:1: using namespace in a header"
    own = name[:-3] + ".h"
    if name.endswith(".cc") and (root / own).exists():
        first = re.search(r'^#include\s+[<"]([^>"]+)', text, re.MULTILINE)
        if first and first.group(1) != own:
            yield f"{name}:1: includes its own header first, so that it stands alone"


def code_errors(name, text, root):
    code = strip_code(text)
    lines = code.splitlines()
    for pattern, why, free in BANNED:
        if name.startswith(free or "\0"):
            continue
        for number, line in enumerate(lines, 1):
            found = re.search(pattern, line)
            held = " ".join(lines[max(0, number - 2):number])  # with the line before
            if found and not (found.group().startswith("new") and SMART_NEW.search(held)):
                yield f"{name}:{number}: {found.group().strip()}: {why}"
    for number, length in function_lengths(lines):
        if length > FUNCTION_LINES_MAX:
            yield f"{name}:{number}: function of {length} lines, at most {FUNCTION_LINES_MAX}"
    yield from await_errors(name, code)
    yield from switch_errors(name, code)
    yield from header_errors(name, text, code, root)


def text_errors(name, text):
    lines = text.splitlines()
    if len(lines) > FILE_LINES_MAX:
        yield f"{name}: {len(lines)} lines, at most {FILE_LINES_MAX}"
    if name.endswith(CODE + (".py", ".sh")):
        if not any("SPDX-License-Identifier: Apache-2.0" in line for line in lines[:2]):
            yield f"{name}:1: no SPDX line at the top"
    for number, line in enumerate(lines, 1):
        if name.endswith(CODE + (".py", ".sh")) and len(line) > COLUMNS_MAX:
            yield f"{name}:{number}: {len(line)} columns, at most {COLUMNS_MAX}"
        if name != "scripts/tidy.py" and PROMISES.search(line):
            yield f"{name}:{number}: promises later work: {PROMISES.search(line).group()}"


def mode_errors(root, name, data):
    executable = os.access(root / name, os.X_OK)
    if executable != data.startswith(b"#!"):
        why = "executable without #!" if executable else "has #! but is not executable"
        yield f"{name}: {why}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                        pathlib.Path(__file__).resolve().parent.parent).resolve()
    names = tracked(root)
    errors = []
    for name in names:
        data = (root / name).read_bytes()
        errors += mode_errors(root, name, data)
        if exempt(name) or not name.endswith(CODE + (".py", ".sh", ".cmake", ".proto")):
            continue
        text = data.decode("utf-8")
        errors += text_errors(name, text)
        if name.endswith(CODE):
            errors += code_errors(name, text, root)
    for error in errors:
        print(error)
    print(f"tidy: {len(names)} files, {len(errors)} findings")
    return 1 if errors or not names else 0


if __name__ == "__main__":
    sys.exit(main())
