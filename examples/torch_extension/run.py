"""PyTorch's side of the example: 100 rounds on PyTorch's current stream, the data verified in each.

    python3 run.py LIBRARY [ROUNDS]

In even rounds the library makes PyTorch's stream wait for its own; in odd rounds PyTorch does so too, by
`torch.cuda.ExternalStream`. A last run leaves out the wait for PyTorch's event and must find wrong data:
then the waits are what made the others right.
"""

import ctypes
import sys

import torch

library = ctypes.CDLL(sys.argv[1])
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 100
library.extension_new.restype = ctypes.c_void_p
library.extension_stream.restype = ctypes.c_void_p
library.extension_stream.argtypes = [ctypes.c_void_p]
library.extension_free.argtypes = [ctypes.c_void_p]
library.extension_double.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32]
library.extension_last_error.restype = ctypes.c_char_p

COUNT = 1 << 20
CYCLES = 2_000_000  # about a millisecond, so that nothing is right by chance


def told(ok):
    if not ok:
        sys.exit(f"the library says: {library.extension_last_error().decode()}")


extension = library.extension_new(torch.cuda.current_device())
told(extension)
theirs = torch.cuda.ExternalStream(library.extension_stream(extension))


def run(round, stream, ordered):
    """One round on `stream`; whether the data is right."""
    with torch.cuda.stream(stream):
        current = torch.cuda.current_stream()
        ready = torch.cuda.Event()
        data = torch.zeros(COUNT, dtype=torch.int32, device="cuda")
        torch.cuda._sleep(CYCLES)
        data.fill_(round)
        ready.record(current)
        event = ready.cuda_event if ordered else None
        told(library.extension_double(extension, current.cuda_stream, event, data.data_ptr(), COUNT) == 0)
        if round % 2:
            current.wait_stream(theirs)
        data.add_(3)
        right = bool((data == 2 * round + 4).all())
        stream.synchronize()
        theirs.synchronize()
    return right


streams = {"default": torch.cuda.default_stream(), "side": torch.cuda.Stream(), "high priority": torch.cuda.Stream(priority=-1)}
for name, stream in streams.items():
    right = sum(run(round, stream, ordered=True) for round in range(rounds))
    print(f"{name} stream: {right} of {rounds} rounds right")
    if right != rounds:
        sys.exit("wrong data")
wrong = rounds - sum(run(round, streams["side"], ordered=False) for round in range(rounds))
print(f"side stream, without the wait for PyTorch's event: {wrong} of {rounds} rounds wrong, as it must be")
if wrong == 0:
    sys.exit("the wait makes no difference: this shows nothing")
print(f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}: passed")
library.extension_free(extension)
