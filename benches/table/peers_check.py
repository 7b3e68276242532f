#!/usr/bin/env python3
"""Checks `peers.py` without a GPU and without the libraries: on fake ones."""

import contextlib
import io
import sys
import types

import peer_libraries
import peers

peers.SECONDS = 0.0005
held = set()


class Stream:
    count = 0

    def __init__(self, **_):
        Stream.count += 1
        self.cuda_stream = self.ptr = Stream.count

    def record_event(self):
        return Event()

    def record(self, event=None):
        (event or Event()).record(self)

    def wait_event(self, event):
        pass

    def wait(self, event_or_stream):
        pass

    def __cuda_stream__(self):
        return 0, self.ptr

    wait_stream = wait


class Event:
    def __init__(self, **_):
        self.stream = None

    def record(self, stream):
        self.stream = stream

    def query(self):
        return self.stream.ptr not in held

    def synchronize(self):
        assert self.query()

    def elapsed_time(self, end):
        raise RuntimeError("an error | of\nthe library")

    def __sub__(self, start):
        return 0.0

    done = is_done = property(query)
    sync = synchronize


class Device:
    def __init__(self, ordinal):
        assert ordinal == 0

    def set_current(self):
        pass

    def create_stream(self):
        return Stream()

    def create_event(self, options=None):
        return Event()

    use = set_current


class Options:
    __dataclass_fields__ = {"timing_enabled": None}

    def __init__(self, timing_enabled):
        pass


class Driver(peer_libraries.Driver):
    def __init__(self):
        pass

    def device(self):
        raise RuntimeError("nothing to ask")

    def hold(self, stream):
        held.add(stream)

    def drain(self, stream):
        assert stream not in held, "a held stream is waited for"

    def release(self):
        held.clear()


def run(*arguments):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = peers.main(list(arguments), driver=Driver)
    return status, out.getvalue()


def install(name, **contents):
    module = types.ModuleType(name)
    module.__version__ = "1.2.3"
    module.__dict__.update(contents)
    sys.modules[name] = module


for name in ("torch", "cupy", "cuda", "cuda.core"):
    sys.modules[name] = None  # importing it fails
status, text = run()
assert status == 1 and text.count("not installed") == 3, text

cuda = types.SimpleNamespace(
    Stream=Stream, Event=Event, Device=Device, init=lambda: None, is_available=lambda: True, set_device=lambda _: None,
    get_elapsed_time=lambda start, end: 0.0)
install("torch", cuda=cuda)
status, text = run("--rounds", "1")
assert status == 0 and text.count("not installed") == 2 and "PyTorch 1.2.3" in text, text
rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")][1:]
assert [row[0][2:] for row in rows] == list(peers.ROWS), text
cells = {row[0][2:]: row[1] for row in rows}
assert cells["elapsed_time"].startswith("error: RuntimeError: an error \\"), text
assert cells["Device::event, drop"].startswith("– (made at its first record)"), text
assert all(cells[row].split()[0].replace(",", "").isdigit() for row in ("record", "query, pending", "wait_event, pending")), text

install("cupy", cuda=cuda)
install("cuda")
install("cuda.core", Device=Device, EventOptions=Options)
status, text = run("--rows", "pending")
assert status == 0 and text.count("| query, pending") == 1 and "record" not in text, text
assert not any(word in text for word in ("error", "installed")), text
status, text = run("--rounds", "2")
assert text.count("error:") == text.count("error: RuntimeError: an error") > 0, text
assert not held
print(text)
