// The table of jobs. A checkbox chooses those whose curves are compared.
import { element, setClass, setText } from "./dom";
import { NONE, clock, duration, figure, rate, short, whole } from "./format";
import { JobStatus } from "./messages";
import { CellText, Table } from "./table";
import { jobTrouble } from "./trouble";

export interface JobRow {
  job: JobStatus;
  // Its place among the chosen ones; -1: it is not among them.
  place: number;
  unixMs: number;
}

const STATES: Record<string, string> = {
  QUEUED: "waits", RUNNING: "runs", SUCCEEDED: "done", FAILED: "failed", CANCELLED: "cancelled",
};

export function stateText({ job }: JobRow): CellText {
  const place = job.queuePosition > 0 ? `, place ${job.queuePosition}` : "";
  const note = [job.cause, job.snapshotError, job.exportError].filter((text) => text !== "").join("; ");
  return { text: (STATES[job.state] ?? job.state.toLowerCase()) + place, note, bad: jobTrouble(job) !== "" };
}

export function lossText({ job }: JobRow): CellText {
  if (job.completedIterations === 0) return { text: NONE };
  return { text: figure(job.smoothedLoss !== 0 ? job.smoothedLoss : job.loss), note: `lr ${short(job.learningRate)}` };
}

export function lastTestText({ job }: JobRow): CellText {
  const newest = job.tests[job.tests.length - 1];
  if (newest === undefined) return { text: NONE };
  return { text: newest.outputs.map((output) => `${output.name} ${figure(output.value)}`).join(", "), note: `at iteration ${whole(newest.iteration)}` };
}

export function snapshotText({ job, unixMs }: JobRow): CellText {
  const newest = job.snapshots[job.snapshots.length - 1];
  if (newest === undefined) return { text: "none yet" };
  const age = newest.unixMs > 0 ? `${duration((unixMs - newest.unixMs) / 1000)} ago` : "";
  return { text: `iteration ${whole(newest.iteration)}`, note: age };
}

// Time to the end, or when it ended.
export function leftText({ job, unixMs }: JobRow): CellText {
  const ran = job.seconds > 0 ? `has run ${duration(job.seconds)}` : "";
  if (job.state === "RUNNING") return { text: job.etaSeconds > 0 ? duration(job.etaSeconds) : NONE, note: ran };
  if (job.endedUnixMs > 0) return { text: `ended ${clock(job.endedUnixMs, unixMs)}`, note: ran.replace("has run", "ran") };
  return { text: NONE };
}

function speedText({ job }: JobRow): CellText {
  if (job.state === "RUNNING") return { text: rate(job.imagesPerSecond, "images/s"), note: `mean ${rate(job.meanImagesPerSecond, "images/s")}` };
  return job.meanImagesPerSecond > 0 ? { text: NONE, note: `mean ${rate(job.meanImagesPerSecond, "images/s")}` } : { text: NONE };
}

function losses({ job }: JobRow): CellText {
  if (job.recoveries + job.repeatedIterations + job.skippedIterations === 0) return { text: "none" };
  const skipped = job.skippedIterations > 0 ? `, ${whole(job.skippedIterations)} skipped` : "";
  return { text: job.recoveries === 1 ? "a server was lost" : `servers lost ${job.recoveries} times`, note: `${whole(job.repeatedIterations)} iterations again${skipped}` };
}

function drawChoice(cell: HTMLElement, row: JobRow, choose: (job: string) => void): void {
  let box = cell.querySelector("input");
  if (box === null) {
    box = element("input");
    box.type = "checkbox";
    const made = box;
    box.addEventListener("change", () => choose(made.value));
    const label = element("label", "choice", box, element("span", "key"), element("span", "name"));
    cell.replaceChildren(label, element("small"));
  }
  box.value = row.job.id;
  box.checked = row.place >= 0;
  const key = cell.querySelector(".key")!;
  for (let i = 0; i < 6; ++i) setClass(key, `line-${i + 1}`, i === row.place);
  setText(cell.querySelector(".name")!, row.job.id);
  setText(cell.querySelector("small")!, row.job.submitter === "" ? "" : `by ${row.job.submitter}`);
}

function drawProgress(cell: HTMLElement, { job }: JobRow): void {
  let bar = cell.querySelector("progress");
  if (bar === null) {
    bar = element("progress");
    cell.replaceChildren(bar, element("small"));
  }
  bar.max = Math.max(1, job.maxIter);
  bar.value = Math.min(job.iteration, bar.max);
  bar.setAttribute("aria-label", `iterations of ${job.id}`);
  setText(cell.querySelector("small")!, `${whole(job.iteration)} of ${whole(job.maxIter)} iterations`);
}

export function makeJobTable(choose: (job: string) => void): Table<JobRow> {
  return new Table<JobRow>("Jobs: choose those whose curves are shown", "jobs", [
    { head: "Job", cell: () => "", draw: (cell, row) => drawChoice(cell, row, choose) },
    { head: "State", wide: true, cell: stateText },
    { head: "Progress", cell: () => "", draw: drawProgress },
    { head: "Loss", title: "Mean of the last 100 iterations; learning rate", numeric: true, cell: lossText },
    { head: "Speed", title: "Of the last 10 seconds", numeric: true, cell: speedText },
    { head: "Time left", numeric: true, cell: leftText },
    { head: "Workers", numeric: true, cell: ({ job }) => ({ text: job.state === "RUNNING" ? whole(job.workers) : NONE, note: job.weight !== 1 ? `weight ${job.weight}` : "" }) },
    { head: "Last test", wide: true, cell: lastTestText },
    { head: "Snapshot", cell: snapshotText },
    { head: "Recovered", title: "Times that servers were lost, and what was computed again", cell: losses },
  ], ({ job }) => job.id, ({ job }) => jobTrouble(job) !== "");
}
