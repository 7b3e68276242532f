"""PyTorch's side of the example ipc_torch: answers the questions on its standard input, a line each.

What waits too long tells where, on the standard error output, and ends this process.
"""

import ctypes
import faulthandler
import sys

TIME_OUT = 30  # seconds, for one question
LATE = 100_000_000  # cycles, about 50 ms: several time slices of a GPU that two processes take turns on


def answer(text):
    print(f"peer: {text}", flush=True)


faulthandler.enable()
faulthandler.dump_traceback_later(2 * TIME_OUT - 5, exit=True)
try:
    import torch
except ImportError as error:
    answer(f"absent: {error}")
    sys.exit(1)
if not torch.cuda.is_available():
    answer(f"absent: PyTorch {torch.__version__} finds no CUDA device")
    sys.exit(1)

torch.cuda.set_device(0)
torch.zeros(1, device="cuda")  # the context, which is current on this thread from now on
stream = torch.cuda.Stream()
libcuda = ctypes.CDLL("libcuda.so.1")


class Handle(ctypes.Structure):
    """CUipcMemHandle, which the driver takes by value."""

    _fields_ = [("reserved", ctypes.c_ubyte * 64)]


libcuda.cuIpcOpenMemHandle_v2.argtypes = [ctypes.POINTER(ctypes.c_uint64), Handle, ctypes.c_uint]
libcuda.cuIpcCloseMemHandle.argtypes = [ctypes.c_uint64]


class Numbers:
    """32-bit numbers at an address, for PyTorch."""

    def __init__(self, address, count):
        self.__cuda_array_interface__ = {"shape": (count,), "typestr": "<i4", "data": (address, False), "strides": None, "version": 2}


def tensor(address, count):
    """The numbers as a tensor, which does not own them."""
    try:
        return torch.as_tensor(Numbers(address, count), device="cuda")
    except (RuntimeError, TypeError) as error:
        # Without NumPy, PyTorch does not read that interface.
        print(f"__cuda_array_interface__: {error}", file=sys.stderr)
        storage = torch._C._construct_storage_from_data_pointer(address, torch.device("cuda", 0), 4 * count)
        return torch.empty(0, dtype=torch.int32, device="cuda").set_(storage)


def checked(call, code):
    if code:
        sys.exit(f"{call} failed: {code}")


class Peer:
    def __init__(self):
        self.address, self.data = ctypes.c_uint64(), None
        self.filled = self.doubled = None
        self.exported = []  # kept until the end: Rust may still have them

    def memory(self, handle, count):
        handle = Handle.from_buffer_copy(bytes.fromhex(handle))
        checked("cuIpcOpenMemHandle_v2", libcuda.cuIpcOpenMemHandle_v2(ctypes.byref(self.address), handle, 1))
        self.data = tensor(self.address.value, int(count))
        if self.data.data_ptr() != self.address.value or self.data.numel() != int(count):
            sys.exit("the tensor is not the shared memory")
        return "opened"

    def export(self):
        self.filled, self.doubled = [torch.cuda.Event(interprocess=True) for _ in range(2)]
        self.exported += [self.filled, self.doubled]
        return " ".join(event.ipc_handle().hex() for event in (self.filled, self.doubled))

    def fill(self, value):
        torch.cuda._sleep(LATE)
        self.data.fill_(int(value))
        self.filled.record(stream)
        return "recorded"

    def compare(self, value):
        self.doubled.wait(stream)
        return "right" if bool((self.data == int(value)).all()) else "wrong"

    def bring(self, filled, doubled):
        self.filled, self.doubled = [torch.cuda.Event.from_ipc_handle(torch.device("cuda", 0), bytes.fromhex(handle)) for handle in (filled, doubled)]
        return "imported"

    def double(self, *without_waiting):
        if not without_waiting:
            self.filled.wait(stream)
        self.data.mul_(2).add_(1)
        self.doubled.record(stream)
        return "recorded"

    def forget(self):
        stream.synchronize()
        self.filled = self.doubled = None
        return "forgotten"

    def close(self):
        stream.synchronize()
        self.data = None
        checked("cuIpcCloseMemHandle", libcuda.cuIpcCloseMemHandle(self.address))
        return "closed"


peer = Peer()
answer(f"ready PyTorch {torch.__version__}, {torch.cuda.get_device_name()}")
with torch.cuda.stream(stream):
    for line in sys.stdin:
        name, *arguments = line.split()
        faulthandler.dump_traceback_later(TIME_OUT, exit=True)
        answer(getattr(peer, {"import": "bring"}.get(name, name))(*arguments))
        faulthandler.cancel_dump_traceback_later()
        if name == "close":
            break

# The end can be stuck, too.
faulthandler.dump_traceback_later(TIME_OUT, exit=True)
