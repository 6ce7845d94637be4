"""Clients inside processes: two workers of many threads each, that wait for jobs and run them at the same moment."""

import multiprocessing
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Final

from bench.figures import Sample, within
from bench.spots import World

PROCESSES: Final = 2


@dataclass(frozen=True, slots=True)
class Job:
    """One turn: `threads` clients of one side do their operation for `seconds`."""

    scenario: str
    side: str
    threads: int
    seconds: float


@dataclass(slots=True)
class _Tally:
    """What one thread did."""

    charges: float = 0
    failures: int = 0
    latencies: list[float] = field(default_factory=list)


class Crew:
    """The workers, as the process that started them sees them."""

    def __init__(self, pipes: "list[Connection[Job | str, Sample | str]]") -> None:
        self._pipes = pipes

    def run(self, *, scenario: str, side: str, clients: int, seconds: float) -> Sample:
        """Let all clients warm up, start them together, and add up what they did."""
        shares = [clients // PROCESSES + (number < clients % PROCESSES) for number in range(PROCESSES)]
        busy = [(pipe, share) for pipe, share in zip(self._pipes, shares, strict=True) if share]
        for pipe, share in busy:
            pipe.send(Job(scenario, side, share, seconds))
        for pipe, _ in busy:
            pipe.recv()
        for pipe, _ in busy:
            pipe.send("go")
        done = [found for pipe, _ in busy if isinstance(found := pipe.recv(), Sample)]
        return Sample(
            seconds=seconds,
            charges=sum(one.charges for one in done),
            latencies=[latency for one in done for latency in one.latencies],
            failures=sum(one.failures for one in done),
        )


@contextmanager
def crew(world: World) -> Iterator[Crew]:
    """Start the workers, and end them afterwards."""
    context = multiprocessing.get_context("spawn")
    pairs = [context.Pipe() for _ in range(PROCESSES)]
    workers = [context.Process(target=_work, args=(theirs, world), daemon=True) for _, theirs in pairs]
    for worker, (_, theirs) in zip(workers, pairs, strict=True):
        worker.start()
        theirs.close()  # so that a worker that ends is noticed as one
    try:
        for ours, _ in pairs:
            ours.recv()
        yield Crew([ours for ours, _ in pairs])
    finally:
        for ours, _ in pairs:
            ours.close()
        for worker in workers:
            worker.join(timeout=10)
            worker.kill()


def _work(pipe: "Connection[Sample | str, Job | str]", world: World) -> None:
    """Run jobs until the pipe closes."""
    import django

    django.setup()
    from django.db import connection

    from bench import work

    work.warm_up(world)
    connection.close()
    pipe.send("warm")
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        if isinstance(job, Job):
            pipe.send(_run(job, world, pipe))


def _run(job: Job, world: World, pipe: "Connection[Sample | str, Job | str]") -> Sample:
    tallies = [_Tally() for _ in range(job.threads)]
    together = threading.Barrier(job.threads + 1)
    threads = [threading.Thread(target=_repeat, args=(job, world, tally, together)) for tally in tallies]
    for thread in threads:
        thread.start()
    together.wait()  # all have warmed up
    pipe.send("ready")
    pipe.recv()
    together.wait()
    for thread in threads:
        thread.join()
    return Sample(
        seconds=job.seconds,
        charges=sum(tally.charges for tally in tallies),
        latencies=[latency for tally in tallies for latency in tally.latencies],
        failures=sum(tally.failures for tally in tallies),
    )


def _repeat(job: Job, world: World, tally: _Tally, together: threading.Barrier) -> None:
    """Be one client, on a connection of its own."""
    from django.db import connection

    from bench import work

    operation = work.operation(job.scenario, job.side, world)
    first = "hot" if job.scenario == "hot" else "spread"  # one charge, also where a turn is made of batches
    with _survived(tally):  # opens the connection and prepares its statements
        work.operation(first, job.side, world)()
    together.wait()
    together.wait()
    end = time.perf_counter() + job.seconds
    while (begun := time.perf_counter()) < end:
        with _survived(tally):
            charges = operation()
            done = time.perf_counter()
            tally.latencies.append(done - begun)
            tally.charges += charges * within(begun, done, end)
    connection.close()


@contextmanager
def _survived(tally: _Tally) -> Iterator[None]:
    """Count what goes wrong and go on, saying the first of each client."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, the turn goes on and the report has it
        if not tally.failures:
            print(f"    {type(error).__name__}: {str(error)[:160]}", flush=True)
        tally.failures += 1
