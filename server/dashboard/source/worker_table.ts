// The table of workers: rate, split of time, staleness, last error.
import { element, setAttribute, setText } from "./dom";
import { NONE, bytes, duration, percent, rate, whole } from "./format";
import { Shares, WorkerStatus } from "./messages";
import { heardText } from "./server_table";
import { CellText, Table } from "./table";
import { QUIET_SECONDS, workerTrouble } from "./trouble";

export interface WorkerRow {
  worker: WorkerStatus;
  unixMs: number;
}

// In the order of the bar; the words are those of the legend.
export const PARTS: readonly (readonly [keyof Shares, string])[] = [
  ["compute", "computes"], ["feed", "waits for records"], ["push", "waits for servers to take gradients"], ["pull", "waits for weights"],
  ["prepare", "prepares"], ["test", "tests"],
];

const moves = (worker: WorkerStatus): boolean => worker.rateSeconds > 0 && worker.silentSeconds <= QUIET_SECONDS;

// The largest part, in words.
export function splitText(shares: Shares): string {
  const idle = 1 - PARTS.reduce((sum, [part]) => sum + shares[part], 0);
  let [most, words] = [idle, "idle"];
  for (const [part, text] of PARTS) {
    if (shares[part] > most) [most, words] = [shares[part], text];
  }
  return `${percent(most)} ${words}`;
}

export function stalenessText(worker: WorkerStatus): CellText {
  const { p50, p99, max, pushes } = worker.staleness;
  if (pushes === 0) return { text: NONE };
  return { text: `${whole(p50)} ${p50 === 1 ? "update" : "updates"}`, note: `99 %: ${whole(p99)}, most ${whole(max)}` };
}

export function errorText({ worker, unixMs }: WorkerRow): CellText {
  if (worker.lastError === "") return { text: "none" };
  const often = worker.errors > 1 ? `, ${whole(worker.errors)} times` : "";
  const age = Math.max(0, unixMs - worker.lastErrorUnixMs) / 1000;
  return { text: worker.lastError, note: `${duration(age)} ago${often}`, bad: age < 60 };
}

function drawSplit(cell: HTMLElement, { worker }: WorkerRow): void {
  let bar = cell.querySelector<HTMLElement>(".split");
  if (bar === null) {
    bar = element("div", "split", ...PARTS.map(([part]) => element("i", part)));
    bar.setAttribute("role", "img");
    cell.replaceChildren(bar, element("small"));
  }
  const known = moves(worker);
  PARTS.forEach(([part], i) => {
    const width = known ? `${(100 * worker.shares[part]).toFixed(1)}%` : "0%";
    const style = (bar.children[i] as HTMLElement).style;
    if (style.width !== width) style.width = width;
  });
  const words = PARTS.filter(([part]) => known && worker.shares[part] >= 0.005)
      .map(([part, text]) => `${percent(worker.shares[part])} ${text}`).join(", ");
  setAttribute(bar, "title", words);
  setAttribute(bar, "aria-label", words === "" ? "not known" : words);
  setText(cell.querySelector("small")!, known ? splitText(worker.shares) : NONE);
}

export function makeWorkerTable(): Table<WorkerRow> {
  return new Table<WorkerRow>("Workers, those with trouble first", "workers", [
    { head: "Worker", cell: ({ worker }) => ({ text: worker.name, note: `${worker.host}, number ${worker.id}` }) },
    { head: "State", wide: true, cell: ({ worker, unixMs }) => ({ text: worker.straggler === "" ? worker.state : worker.straggler,
        note: worker.leases.join("; "), bad: workerTrouble(worker, unixMs) !== "" }) },
    { head: "Rate", title: "Images of training, of the last 10 seconds", numeric: true,
      cell: ({ worker }) => (moves(worker) ? rate(worker.imagesPerSecond, "images/s") : NONE) },
    { head: "Split of time", title: "Of the last 10 seconds", cell: () => "", draw: drawSplit },
    { head: "Processors", title: "Processor time, of what its threads could use", numeric: true, cell: ({ worker }) => ({
        text: moves(worker) ? percent(worker.cpuShare) : NONE, note: `of ${worker.threads} ${worker.threads === 1 ? "thread" : "threads"}` }) },
    { head: "Staleness", title: "Updates of others between a pull and its push: half of the pushes have no more", numeric: true,
      cell: ({ worker }) => stalenessText(worker) },
    { head: "Memory", numeric: true, cell: ({ worker }) => ({ text: worker.residentBytes > 0 ? bytes(worker.residentBytes) : NONE,
        note: worker.cacheBytes > 0 ? `cache ${bytes(worker.cacheBytes)}` : "" }) },
    { head: "Last error", wide: true, cell: errorText },
    { head: "Heard", numeric: true, cell: ({ worker }) => heardText(worker.silentSeconds) },
  ], ({ worker }) => String(worker.id), ({ worker, unixMs }) => workerTrouble(worker, unixMs) !== "");
}
