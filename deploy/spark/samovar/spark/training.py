"""Training in executors: a task is a worker of Samovar. Workers hold nothing that matters and may come and go, so an ordinary stage does:
Spark tries a task again whose executor was lost, and meanwhile the others go on with its iterations."""

import os
import socket
import uuid
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, Iterator, Optional, Sequence, Tuple, Union

from samovar import jobs
from samovar.bundle import Bundle, absolute, join
from samovar.children import Child, messages_of
from samovar.errors import CommandFailed, JobFailed, SamovarError, WorkerFailed, error_of_task
from samovar.jobs import JobResult
from samovar.servers import Servers
from samovar.spark.shipping import Place, attempt_number, environment, prepare

# For the workers to see that the job has ended.
_STAGE_SECONDS = 60.0


@dataclass(frozen=True)
class _Plan:
    """What a task must know."""
    place: Place
    coordinator: str
    job: str
    flags: Tuple[str, ...]

    def work(self, index: int, _: Iterable[int]) -> Iterator[Tuple[int, str]]:
        """Is a worker until the job has ended."""
        parent = os.getppid()
        bundle = self.place.find()
        host = socket.gethostname()
        name = f"spark-{index}.{attempt_number()}/{host}"
        words = [bundle.program("samovar-worker"), "--coordinator", self.coordinator, "--name", name, "--die-with-parent", *self.flags]
        with Child(words, env=environment(), echo=True) as worker, closing(jobs.events(bundle, self.coordinator, self.job)) as events:
            for event in events:
                code = worker.poll()
                if code is not None:
                    worker.wait(1.0)
                    raise WorkerFailed(f"worker {name} has ended with exit code {code}: {messages_of(worker.last_lines())}")
                # The executor has gone, and this process was forgotten.
                if os.getppid() != parent:
                    raise WorkerFailed(f"worker {name}: its executor has gone")
                if event is not None and event["event"] == "failed":
                    self._check_reachable(bundle, name, str(event.get("message")))
        yield index, host

    def _check_reachable(self, bundle: Bundle, name: str, reason: str) -> None:
        """Whoever has started the job hears why it has failed; a worker that cannot reach the coordinator is another matter."""
        try:
            bundle.run("status", self.coordinator)
        except CommandFailed:
            raise WorkerFailed(f"worker {name}: {reason}") from None


class _Stage:
    """The Spark job that is the workers, on a thread of its own."""

    def __init__(self, context: Any, plan: _Plan, workers: int, barrier: bool) -> None:
        from pyspark import InheritableThread
        self._context = context
        self._group = f"samovar-{uuid.uuid4().hex[:8]}"
        self.error: Optional[BaseException] = None
        rdd = context.parallelize(range(workers), workers)
        source = rdd.barrier() if barrier else rdd

        def run() -> None:
            try:
                context.setJobGroup(self._group, f"Samovar: workers of job {plan.job}", True)
                source.mapPartitionsWithIndex(plan.work).collect()
            except BaseException as error:  # For the thread that waits.
                self.error = error

        self._thread = InheritableThread(target=run, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises the reason if Spark has given the workers up."""
        if self.error is not None:
            reason = error_of_task(self.error)
            raise JobFailed(f"the workers have failed: {reason or self.error}") from self.error

    def close(self, seconds: float) -> None:
        """Waits for the workers' end, and cancels those that are left."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            self._context.cancelJobGroup(self._group)
            self._thread.join(_STAGE_SECONDS)


def train(spark: Any, solver: str, workers: int = 8, servers: Union[int, str] = 1, output: str = "", barrier: bool = False,
          threads: Optional[int] = None, overwrite: bool = False, allow_plaintext: bool = False, state: Optional[str] = None,
          worker_flags: Sequence[str] = (), on_event: Optional[Callable[[Dict[str, Any]], None]] = None, bundle: Optional[str] = None,
          **flags: Any) -> JobResult:
    """Trains a net with workers in Spark's executors, and brings the model.

    solver: its prototxt; its nets name data sets that the executors see, those of write_dataset say.
    workers: tasks of one stage. Those that Spark has no room for begin later, or never; the job goes on without them.
    servers: how many parameter servers to start on the driver's machine, at spark.driver.host, which end with the job; or the address
      ("host:port") or the home of a cluster that runs, which keeps the job.
    output: a directory, or a file *.caffemodel; the solver state is put beside it. In storage, or of the driver's machine.
    barrier: all workers at once or none, as Spark's barrier mode has it: too few slots are an error then, and a lost executor starts all
      workers again. It is not needed.
    threads: of each worker; without it spark.task.cpus.
    overwrite: replace a model that is there.
    allow_plaintext: servers on another address than 127.0.0.1 need it: who reaches them can read and change the training.
    state: a directory for the servers' snapshots, which is kept; without one it is temporary.
    worker_flags: more words for samovar-worker. on_event: called with each event of `samovar watch --json`.
    bundle: where the programs are, see samovar.spark.
    flags: those of `samovar submit`: mode="sync", test_all=True, export_snapshots="hdfs:///..." and so on.

    Returns what came out (samovar.jobs.JobResult). CommandFailed: the job was refused. JobFailed: with the reason; the job is cancelled
    when this function is interrupted or the workers fail.
    """
    if workers < 1:
        raise ValueError(f"workers={workers} is no number of workers; take 1 or more")
    if isinstance(servers, int) and servers < 1:
        raise ValueError(f"servers={servers} is no number of servers; take 1 or more, or the address of a cluster")
    if not output:
        raise ValueError("output= is missing: a directory for the model, or a file *.caffemodel")
    context = spark.sparkContext
    driver, place = prepare(context, bundle)
    if isinstance(servers, str):
        return _train_on(context, driver, place, servers, solver, workers, output, barrier, threads, overwrite, worker_flags, on_event,
                         lambda: None, flags)
    host = context.getConf().get("spark.driver.host", "127.0.0.1")
    with Servers(driver, servers, host, allow_plaintext=allow_plaintext, state=state) as started:
        return _train_on(context, driver, place, started.coordinator, solver, workers, output, barrier, threads, overwrite, worker_flags,
                         on_event, started.check, {"servers": servers, **flags})


def _train_on(context: Any, driver: Bundle, place: Place, coordinator: str, solver: str, workers: int, output: str, barrier: bool,
              threads: Optional[int], overwrite: bool, worker_flags: Sequence[str],
              on_event: Optional[Callable[[Dict[str, Any]], None]], look: Callable[[], None], flags: Dict[str, Any]) -> JobResult:
    """A job on a cluster that runs."""
    job = jobs.submit(driver, coordinator, absolute(solver), flags)
    stage: Optional[_Stage] = None
    succeeded = False
    try:
        model = output if output.endswith((".caffemodel", ".caffemodel.h5")) else join(absolute(output), f"{job}.caffemodel")
        if not overwrite and driver.exists(model):
            raise CommandFailed(f"{model}: exists already; overwrite=True replaces it", 2)
        count = threads or int(context.getConf().get("spark.task.cpus", "1"))
        stage = _Stage(context, _Plan(place, coordinator, job, ("--threads", str(count), *worker_flags)), workers, barrier)

        def look_about() -> None:
            look()
            assert stage is not None
            stage.check()

        result = jobs.follow(driver, coordinator, job, on_event, look_about)
        succeeded = True
        written = jobs.export(driver, coordinator, job, model, {"force": overwrite})
        result.model, result.solver_state = written.get("model", model), written.get("solver_state")
        return result
    finally:
        if not succeeded:
            _cancel(driver, coordinator, job)
        if stage is not None:
            stage.close(_STAGE_SECONDS)


def _cancel(driver: Bundle, coordinator: str, job: str) -> None:
    try:
        driver.run("cancel", job, coordinator)
    except (SamovarError, OSError):
        pass  # It has ended, or there is no coordinator any more.
