"""The Python libraries that `peers.py` measures, each with the same methods; and the driver, which holds streams."""

import ctypes
import importlib
from functools import partial


class Missing(Exception):
    """The library has no such call; the text says what it has."""


class Torch:
    name, module = "PyTorch", "torch"

    def __init__(self, torch):
        if not torch.cuda.is_available():
            raise RuntimeError("finds no device")
        self.cuda, self.version = torch.cuda, torch.__version__
        self.cuda.init()

    def enter_thread(self):
        self.cuda.set_device(0)

    def stream(self):
        return self.cuda.Stream()

    def held_stream(self):
        return self.cuda.Stream(priority=-1)  # the 32 streams of the usual pool may all be in use

    def handle(self, stream):
        return stream.cuda_stream

    def event(self, timed=False):
        return self.cuda.Event(enable_timing=timed)

    def create_event(self):
        raise Missing("made at its first record")

    def record(self, event, stream):
        return partial(event.record, stream)

    def record_event(self, stream):
        return stream.record_event

    def query(self, event):
        return event.query

    def synchronize(self, event):
        return event.synchronize

    def wait_event(self, stream, event):
        return partial(stream.wait_event, event)

    def wait_stream(self, stream, other):
        return partial(stream.wait_stream, other)

    def elapsed(self, start, end):
        return partial(start.elapsed_time, end)

    def pooled_stream(self):
        return self.cuda.Stream


class CudaCore:
    name, module = "cuda.core", "cuda.core"

    def __init__(self, core):
        self.version = core.__version__
        self.core = core if hasattr(core, "Device") else importlib.import_module("cuda.core.experimental")
        self.device = self.core.Device(0)
        self.device.set_current()
        fields = self.core.EventOptions.__dataclass_fields__
        self.timing = "timing_enabled" if "timing_enabled" in fields else "enable_timing"

    def enter_thread(self):
        self.core.Device(0).set_current()

    def stream(self):
        return self.device.create_stream()

    held_stream = stream

    def handle(self, stream):
        return stream.__cuda_stream__()[1]

    def event(self, timed=False):
        return self.device.create_event(self.core.EventOptions(**{self.timing: timed}))

    def create_event(self):
        return self.device.create_event

    def record(self, event, stream):
        return partial(stream.record, event)

    def record_event(self, stream):
        return stream.record

    def query(self, event):
        return partial(getattr, event, "is_done")

    def synchronize(self, event):
        return event.sync

    def wait_event(self, stream, event):
        return partial(stream.wait, event)

    def wait_stream(self, stream, other):
        return partial(stream.wait, other)

    def elapsed(self, start, end):
        return lambda: end - start

    def pooled_stream(self):
        raise Missing("no pool")


class CuPy:
    name, module = "CuPy", "cupy"

    def __init__(self, cupy):
        self.cuda, self.version = cupy.cuda, cupy.__version__
        self.cuda.Device(0).use()

    def enter_thread(self):
        self.cuda.Device(0).use()

    def stream(self):
        return self.cuda.Stream(non_blocking=True)

    held_stream = stream

    def handle(self, stream):
        return stream.ptr

    def event(self, timed=False):
        return self.cuda.Event(disable_timing=not timed)

    def create_event(self):
        return partial(self.cuda.Event, disable_timing=True)

    def record(self, event, stream):
        return partial(event.record, stream)

    def record_event(self, stream):
        return lambda: stream.record(self.cuda.Event(disable_timing=True))

    def query(self, event):
        return partial(getattr, event, "done")

    def synchronize(self, event):
        return event.synchronize

    def wait_event(self, stream, event):
        return partial(stream.wait_event, event)

    def wait_stream(self, stream, other):
        raise Missing("no such call")

    def elapsed(self, start, end):
        return partial(self.cuda.get_elapsed_time, start, end)

    def pooled_stream(self):
        raise Missing("no pool")


LIBRARIES = (Torch, CudaCore, CuPy)


class Driver:
    """Holds streams: what is enqueued behind a wait for a word of pinned memory runs when the word is set."""

    def __init__(self):
        # Unlike `CDLL`, which lets other threads have the interpreter's lock during a call.
        self.cuda = ctypes.PyDLL("libcuda.so.1")
        self.word = None

    def call(self, function, *arguments):
        code = getattr(self.cuda, function)(*arguments)
        if code != 0:
            raise RuntimeError(f"{function} answered {code}")

    def version(self):
        version = ctypes.c_int()
        self.call("cuDriverGetVersion", ctypes.byref(version))
        return f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"

    def device(self):
        name = ctypes.create_string_buffer(100)
        self.call("cuInit", 0)
        self.call("cuDeviceGetName", name, 100, 0)
        return name.value.decode()

    def hold(self, stream):
        if self.word is None:
            memory, self.address = ctypes.c_void_p(), ctypes.c_uint64()
            self.call("cuMemHostAlloc", ctypes.byref(memory), ctypes.c_size_t(4), 3)  # portable, mapped
            self.call("cuMemHostGetDevicePointer_v2", ctypes.byref(self.address), memory, 0)
            self.word = ctypes.c_uint32.from_address(memory.value)
        self.word.value = 0
        equal = 1
        self.call("cuStreamWaitValue32_v2", ctypes.c_void_p(stream), self.address, ctypes.c_uint32(1), equal)

    def drain(self, stream):
        self.call("cuStreamSynchronize", ctypes.c_void_p(stream))

    def release(self):
        self.word.value = 1
