"""Reads cargo's messages and prints a line for each executable: its subject and its path.

A subject is a set and a name: tests/event.rs, tests/soft/main.rs and softcuda/tests/held.rs are
tests/event, soft/soft and softcuda/held. The unit tests of a crate are named `unit`.
"""

import json
import sys
from pathlib import Path

root = Path.cwd()


def subject(message):
    target, is_test = message["target"], message["profile"]["test"]
    kind, name = target["kind"][0], target["name"]
    package = Path(message["manifest_path"]).parent.relative_to(root).as_posix()
    if package == "softcuda/conformance":
        # The tests of this package compare with files of the source tree: only the program travels.
        return name if kind == "bin" and not is_test else None
    if kind == "example":
        return f"{'examples' if message['executable'] else 'libraries'}/{name}"
    if kind == "bench":
        return f"benches/{name}"
    if not is_test:
        sys.exit(f"no place for the {kind} {name} of {package}")
    crate = "tests" if package == "." else package
    if kind != "test":
        return f"{crate}/unit"
    folder = Path(target["src_path"]).parent.name
    return f"{crate}/{name}" if folder == "tests" else f"{folder}/{name}"


def library(message):
    """The file of an example that other programs load."""
    if message["reason"] != "compiler-artifact" or message["target"]["crate_types"] != ["cdylib"]:
        return None
    return message["filenames"][0]


subjects = {}
for line in sys.stdin:
    message = json.loads(line)
    path = message.get("executable") or library(message)
    if path:
        place = subject(message)
        if place and subjects.setdefault(place, path) != path:
            sys.exit(f"two executables are {place}: {subjects[place]} and {path}")
for place, path in sorted(subjects.items()):
    print(place, path)
