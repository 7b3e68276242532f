#!/usr/bin/env python3
"""What the rows of the benchmark `table` cost in PyTorch, cuda.core and CuPy, on the same host.

    benches/table/peers.py [--rows PATTERN] [--rounds N]

Prints a table in Markdown, nanoseconds a call at 1 and at 16 threads (as many as there are cores). A library that
is not installed is named; the exit status is 1 if none is there. The interpreter's lock is part of what is measured:
where there is one, a call at 16 threads includes the wait for the other 15.
"""

import argparse
import datetime
import importlib
import os
import statistics
import sys
import threading
import time
from collections import namedtuple
from functools import partial
from itertools import repeat
from pathlib import Path

from peer_libraries import LIBRARIES, Driver, Missing

# As programs have it; the tests ask for 32 hardware queues, with which some calls take longer.
os.environ.pop("CUDA_DEVICE_MAX_CONNECTIONS", None)

THREADS = (1, 16)
# Calls behind which an idle stream is drained, untimed: it takes about 1,000 before the next one blocks.
DRAIN = 256
# Waits behind a held stream, and the fewest calls of a round.
PILE = 64
# How long a round should take.
SECONDS = 0.02


# What a thread has. `held` is one stream for all.
Seat = namedtuple("Seat", "lane other held")
# A call; what is done before it while `held` is held; what it must answer then; whether it piles up behind.
Job = namedtuple("Job", "call prepare answer piles", defaults=(None, None, False))


def complete(library, seat, timed=False):
    event = library.event(timed)
    library.record(event, seat.lane)()
    library.synchronize(event)()
    return event


def pending(library, seat, job):
    event = complete(library, seat)
    return job(event)._replace(prepare=library.record(event, seat.held))


def elapsed(library, seat):
    start, end = (complete(library, seat, timed=True) for _ in range(2))
    return Job(library.elapsed(start, end))


ROWS = {
    "a Python function that does nothing": lambda library, seat: Job(lambda: None),
    "query, complete": lambda library, seat: Job(library.query(complete(library, seat))),
    "synchronize, complete": lambda library, seat: Job(library.synchronize(complete(library, seat))),
    "wait_event, complete": lambda library, seat: Job(library.wait_event(seat.lane, complete(library, seat))),
    "Device::event, drop": lambda library, seat: Job(library.create_event()),
    "record_event, drop": lambda library, seat: Job(library.record_event(seat.lane)),
    "record": lambda library, seat: Job(library.record(library.event(), seat.lane)),
    "query, pending": lambda library, seat: pending(
        library, seat, lambda event: Job(library.query(event), answer=False)),
    "wait_event, pending": lambda library, seat: pending(
        library, seat, lambda event: Job(library.wait_event(seat.lane, event), piles=True)),
    "wait_stream": lambda library, seat: Job(library.wait_stream(seat.lane, seat.other)),
    "elapsed_time": elapsed,
    "StreamPool, checkout and return": lambda library, seat: Job(library.pooled_stream()),
}


def timed(call, calls):
    begin = time.perf_counter_ns()
    for _ in repeat(None, calls):
        call()
    return time.perf_counter_ns() - begin


def idle_calls(call, calls, drain):
    """Nanoseconds of each of so many calls, between which the streams are drained.

    What is taken off for that is the median: a wait for the interpreter's lock, which may come between any two lines,
    stays in the figure.
    """
    drains = []
    begin = time.perf_counter_ns()
    for done in range(0, calls, DRAIN):
        timed(call, min(DRAIN, calls - done))
        idle = time.perf_counter_ns()
        drain()
        drains.append(time.perf_counter_ns() - idle)
    return (time.perf_counter_ns() - begin - len(drains) * statistics.median(drains)) / calls


def calibrated(run):
    """With how many calls a thread `run` takes as long as it should."""
    calls = PILE
    while (nanos := run(calls) * calls) < SECONDS * 1e9 / 4:
        calls *= 4
    return max(PILE, int(SECONDS * 1e9 / (nanos / calls)))


def together(library, count, work):
    """The mean of what `work(index)` returns on so many threads at once."""
    barrier, results, errors = threading.Barrier(count), [], []

    def thread(index):
        try:
            library.enter_thread()
            barrier.wait()
            results.append(work(index))
        except threading.BrokenBarrierError:
            pass
        except Exception as error:
            errors.append(error)
            barrier.abort()

    threads = [threading.Thread(target=thread, args=(index,)) for index in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    if errors:
        raise errors[0]
    return statistics.mean(results)


def measure(library, driver, build, seats, rounds):
    """The figures of the rounds."""
    jobs = [build(library, seat) for seat in seats]

    handles = [[library.handle(stream) for stream in (seat.lane, seat.other)] for seat in seats]

    def drain(index):
        for handle in handles[index]:
            driver.drain(handle)

    if jobs[0].prepare is None:
        run = lambda calls: together(
            library, len(seats), lambda index: idle_calls(jobs[index].call, calls, partial(drain, index)))
        calls = calibrated(run)
        return [run(calls) for _ in range(rounds)]
    if jobs[0].piles and len(seats) > 1:
        raise Missing("at 1 thread only")

    def held(run):
        driver.hold(library.handle(seats[0].held))
        try:
            for job in jobs:
                job.prepare()
                answer = job.call()
                if job.answer is not None and answer != job.answer:
                    raise RuntimeError(f"answered {answer} while the stream was held")
            return run()
        finally:
            driver.release()
            driver.drain(library.handle(seats[0].held))
            for index in range(len(seats)):
                drain(index)

    if jobs[0].piles:
        piled = lambda: timed(jobs[0].call, PILE) / PILE
        return [statistics.median(held(piled) for _ in range(50)) for _ in range(rounds)]
    run = lambda calls: held(lambda: together(library, len(seats), lambda index: timed(jobs[index].call, calls) / calls))
    calls = calibrated(run)
    return [run(calls) for _ in range(rounds)]


def cell(library, driver, build, seats, rounds):
    try:
        figures = measure(library, driver, build, seats, rounds)
    except Missing as reason:
        return f"– ({reason})"
    except Exception as error:
        text = f"{type(error).__name__}: {error}".split("\n")[0].replace("|", "\\|")
        return f"error: {text[:100]}"
    median = statistics.median(figures)
    spread = (max(figures) - min(figures)) / median
    return f"{median:,.0f}" + (f" (rounds differ by {spread:.0%})" if spread > 0.1 else "")


def load(libraries):
    """Those that are there, and why the others are not, a line each."""
    there, absent = [], []
    for library in libraries:
        try:
            there.append(library(importlib.import_module(library.module)))
        except ModuleNotFoundError as error:
            absent.append(f"{library.name} is not installed ({error}).")
        except Exception as error:
            absent.append(f"{library.name} is installed and does not work: {type(error).__name__}: {error}")
    return there, absent


def interpreter():
    locked = getattr(sys, "_is_gil_enabled", lambda: True)()
    lock = "with a global lock, which the calls at more than one thread wait for" if locked else "without a global lock"
    return f"Python {sys.version.split()[0]}, {lock}"


def machine(driver):
    try:
        module = Path("/sys/module/nvidia/version")
        module = module.read_text().strip() if module.exists() else "of unknown version"
        return f"{driver.device()}, driver: real, {module}, {driver.version()}"
    except Exception as error:
        return f"device and driver unknown ({error})"


def main(arguments, libraries=LIBRARIES, driver=Driver):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", default="", metavar="PATTERN", help="a part of the names of the rows")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    options = parser.parse_args(arguments)

    there, absent = load(libraries)
    for line in absent:
        print(line)
    if not there:
        print("None of the libraries is there.")
        return 1
    driver = driver()
    cores = len(os.sched_getaffinity(0))
    counts = sorted({min(threads, cores) for threads in THREADS})
    print(" ".join(["# benches/table/peers.py", *arguments]), end="\n\n")
    print(f"{machine(driver)}. {cores} cores. {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}.")
    print(f"{interpreter()}; {', '.join(f'{library.name} {library.version}' for library in there)}.", end="\n\n")
    print(f"Nanoseconds a call: medians of {options.rounds} rounds; the figure of a round is the mean of its threads, and the loop is in it.")
    print(f"As many waits as fit behind a held stream ({PILE}) are over before the next thread begins, hence at 1 thread only.", end="\n\n")

    places = []
    for library in there:
        library.enter_thread()
        held = library.held_stream()
        seats = [Seat(library.stream(), library.stream(), held) for _ in range(counts[-1])]
        places += [(library, seats[:count]) for count in counts]
    print("| call |", " | ".join(f"{library.name}, {len(seats)} thread{'s'[:len(seats) - 1]}" for library, seats in places), "|")
    print("|---|" + "--:|" * len(places))
    for row, build in ROWS.items():
        if options.rows in row:
            cells = []
            for library, seats in places:
                library.enter_thread()
                cells.append(cell(library, driver, build, seats, options.rounds))
            print(f"| {row} |", " | ".join(cells), "|", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
