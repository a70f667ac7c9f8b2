# SPDX-License-Identifier: Apache-2.0
"""Asks bash what it would offer."""

import re
import subprocess


def completed(script, typed):
    """The words that the completion `script` offers behind the line `typed`."""
    function = re.search(r"^(\w+)\(\) \{$", script, re.MULTILINE).group(1)
    words = typed.split(" ")
    listed = " ".join(f"'{word}'" for word in words)
    shell = (f"{script}\nCOMP_WORDS=({listed}); COMP_CWORD={len(words) - 1}\n"
             f"{function}; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    done = subprocess.run(["bash", "-c", shell], capture_output=True, timeout=20, check=True,
                          text=True)
    return done.stdout.split()
