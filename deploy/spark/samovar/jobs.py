"""A job of a cluster, from its submission to its model, by the commands of the bundle."""

import json
import queue
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Generator, List, Optional, Tuple

from samovar.bundle import Bundle, flag_words
from samovar.children import Child, messages_of
from samovar.errors import JobFailed

# How often the one who follows a job looks about.
TICK_SECONDS = 0.5


@dataclass
class JobResult:
    """What a job has come to, as far as it was reported."""
    job: str
    # Updates of the model, from the job's begin or, of a run that was continued, in all.
    iterations: int = 0
    # Mean of the last iterations' losses (average_loss of the solver); None: it was not told.
    loss: Optional[float] = None
    # (iteration, loss), for the multiples of the solver's `display`.
    history: List[Tuple[int, float]] = field(default_factory=list)
    # One for each test: {"iteration": ..., "net": ..., "records": ..., the outputs' names: ...}.
    tests: List[Dict[str, Any]] = field(default_factory=list)
    # Which iterations the chunks of the model have; see LedgerSummary of job.proto.
    ledger: Dict[str, Any] = field(default_factory=dict)
    # What the job's user should know.
    warnings: List[str] = field(default_factory=list)
    # Paths, or URIs; None: it was not asked for.
    model: Optional[str] = None
    solver_state: Optional[str] = None
    # The last report, as `samovar watch --json` prints it.
    report: Dict[str, Any] = field(default_factory=dict)

    def take(self, event: Dict[str, Any]) -> None:
        """Notes an event of `samovar watch --json`."""
        kind = event.get("event")
        if kind == "display":
            self.history.append((event["iteration"], event["loss"]))
        elif kind == "test":
            values = {output["name"]: output["value"] for output in event["outputs"]}
            self.tests.append({"iteration": event["iteration"], "net": event["net"], "records": event["records"], **values})
        elif kind == "warning":
            self.warnings.append(event["message"])
        elif kind in ("progress", "succeeded"):
            self.iterations = int(event.get("iteration", self.iterations))
            loss = event.get("loss", self.loss)
            self.loss = self.loss if loss is None else float(loss)
        if kind == "succeeded":
            self.ledger = event.get("ledger", {})
        self.report = event


def submit(bundle: Bundle, coordinator: str, solver: str, flags: Dict[str, Any]) -> str:
    """Has the bundle check the job, and submits it. Returns its name. CommandFailed: with what is wrong."""
    out = bundle.run("submit", coordinator, "--solver", solver, "--json", *flag_words(flags))
    return next(event["job_id"] for event in map(json.loads, out.splitlines()) if event.get("event") == "submitted")


def export(bundle: Bundle, coordinator: str, job: str, output: str, flags: Dict[str, Any]) -> Dict[str, str]:
    """Writes the job's model, and its solver state beside it: {"model": path, "solver_state": path}."""
    out = bundle.run("model", "export", job, coordinator, "--output", output, "--json", *flag_words(flags))
    return {event["event"]: event["path"] for event in map(json.loads, out.splitlines()) if "path" in event}


def events(bundle: Bundle, coordinator: str, job: str) -> Generator[Optional[Dict[str, Any]], None, None]:
    """The events of `samovar watch --json`, until the job has ended; None whenever none came for a while.

    The last one is "succeeded" or "failed". JobFailed: the coordinator did not answer for a minute.
    """
    lines: "queue.Queue[str]" = queue.Queue()
    with Child([bundle.program("samovar"), "watch", job, coordinator, "--json"], on_line=lines.put) as child:
        ended = False
        while True:
            try:
                event = json.loads(lines.get(timeout=TICK_SECONDS))
            except queue.Empty:
                # Once more after the end: the last lines may have come in between.
                if ended:
                    raise JobFailed(messages_of(child.last_lines())) from None
                ended = child.wait(0) is not None
                yield None
                continue
            yield event
            if event["event"] in ("succeeded", "failed"):
                return


def follow(bundle: Bundle, coordinator: str, job: str, on_event: Optional[Callable[[Dict[str, Any]], None]] = None,
           look: Callable[[], None] = lambda: None) -> JobResult:
    """Waits until the job has succeeded. `look` is called now and then, and may raise. JobFailed: with the reason."""
    result = JobResult(job)
    for event in events(bundle, coordinator, job):
        look()
        if event is None:
            continue
        result.take(event)
        if on_event is not None:
            on_event(event)
        if event["event"] == "failed":
            raise JobFailed(event.get("message") or event.get("cause") or f"job {job} has failed")
    return result
