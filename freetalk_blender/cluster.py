"""The jobs of a batch on other machines: `freetalk batch JOBS.json --scheduler ADDRESS`.

ADDRESS is a scheduler of Dask (`dask scheduler`, then `dask worker ADDRESS` on every machine); each thread of a worker
does one job at a time, as `processes.work` does on this machine. Workers have FreeTalk installed and see the folders of
the jobs under the same paths. `distributed` is needed here and there: the extra `cluster` of pyproject.toml.
"""

import asyncio
import contextlib
import logging
import queue
import uuid
from collections.abc import Collection, Iterator
from typing import Any

from . import processes
from .batch import BatchError, Job, Outcome

#: Seconds in which the scheduler must answer, and a first worker join it.
PATIENCE = 30


def run(jobs: list[Job], address: str) -> Iterator[Outcome]:
    """Outcomes as they come from the scheduler's workers; where the caller stops, the jobs at work are ended.

    Raises BatchError where there is no `distributed`, no scheduler at the address, or no worker.
    """
    distributed = _library()
    with _client(distributed, address) as client:
        ended = distributed.Event(f"freetalk-{uuid.uuid4().hex}", client)
        waiting = {client.submit(_work, job, ended.name, pure=False): job for job in jobs}
        try:
            for future in _as_they_end(client, list(waiting)):
                yield _outcome(future, waiting.pop(future))
                future.release()  # else a worker that is lost later has it done again
        finally:
            with contextlib.suppress(OSError):  # a scheduler that is gone has no work left to end
                ended.set()
                client.cancel(list(waiting))


def _as_they_end(client: Any, futures: Collection[Any]) -> Iterator[Any]:
    """The futures that have ended, as they do; where no worker is left and none joins for a while, the others too."""
    ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for future in futures:
        future.add_done_callback(ended.put)
    waiting = set(futures)
    while waiting:
        try:
            future = ended.get(timeout=PATIENCE)
        except queue.Empty:
            if client.nthreads():
                continue
            yield from waiting
            return
        waiting.remove(future)
        yield future


def _library() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise BatchError(
            "--scheduler needs Dask's package distributed; pip install distributed, or use --workers."
        ) from error
    return distributed


def _client(distributed: Any, address: str) -> Any:
    """A connection to the scheduler, which has a worker at least."""
    try:
        asyncio.run(_call(distributed, address))
        client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # outcomes tell of a connection that is lost
    except (OSError, ValueError) as error:
        raise BatchError(_no_scheduler(address, error)) from error
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError as error:
        client.close()
        raise BatchError(f"The scheduler {address} has no workers; start one with dask worker {address}.") from error
    except OSError as error:  # it has gone meanwhile
        client.close()
        raise BatchError(_no_scheduler(address, error)) from error
    return client


def _no_scheduler(address: str, error: Exception) -> str:
    return f"No scheduler answers at {address} ({error}); start one with dask scheduler and give its address."


async def _call(distributed: Any, address: str) -> None:
    """Raises OSError or ValueError where nobody answers: a Client made in vain cannot be closed, and whenever Python
    collects it, it takes the lock under which `distributed` starts event loops, which can wait for itself for ever."""
    comm = await distributed.comm.connect(address, timeout=PATIENCE)
    await comm.close()


def _outcome(future: Any, job: Job) -> Outcome:
    """What became of a job, also where its worker could not do it."""
    if not future.done():
        return Outcome(job, 0.0, "The scheduler has no workers any more; start one, then --resume.")
    if future.cancelled():
        return Outcome(job, 0.0, "The connection to the scheduler was lost; start it again, then --resume.")
    try:
        return future.result()
    except Exception as error:  # whatever went wrong on the worker: it harms no other job
        return Outcome(job, 0.0, f"The worker could not do it ({type(error).__name__}: {error}); look at its log.")


def _work(job: Job, ended: str) -> Outcome:
    """On a worker: do one job, with this thread's share of the machine, until the event of that name is set."""
    from distributed import Event, get_worker

    share = max(1, processes.processors() // get_worker().state.nthreads)
    return processes.work(job, share, Event(ended).is_set)
