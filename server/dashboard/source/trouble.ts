// What is wrong with a member, in one place: rows with trouble come first.
import { ClusterStatus, JobStatus, ServerStatus, WorkerStatus } from "./messages";

// The coordinator takes a member that is silent for longer for lost.
export const QUIET_SECONDS = 3;
const RECENT_MS = 60000;

export const isActive = (job: JobStatus): boolean => job.state === "RUNNING" || job.state === "QUEUED";

export function workerTrouble(worker: WorkerStatus, unixMs: number): string {
  if (worker.silentSeconds > QUIET_SECONDS) return "silent";
  if (worker.lastError !== "" && unixMs - worker.lastErrorUnixMs < RECENT_MS) return "failing";
  return worker.straggler !== "" ? "slow" : "";
}

export function serverTrouble(server: ServerStatus): string {
  if (server.gone) return "gone";
  if (server.silentSeconds > QUIET_SECONDS) return "silent";
  const { lastError, lastErrorAgeSeconds, diskBytes, diskFreeBytes } = server.figures;
  if (lastError !== "" && lastErrorAgeSeconds < RECENT_MS / 1000) return "failing";
  return diskBytes > 0 && diskFreeBytes < Math.min(2 ** 30, diskBytes / 100) ? "disk full" : "";
}

export function jobTrouble(job: JobStatus): string {
  if (job.state === "FAILED") return "failed";
  if (job.state === "RUNNING" && (job.cause !== "" || job.snapshotError !== "" || job.exportError !== "")) return "in trouble";
  return "";
}

// Names with numbers in their order: worker-2 before worker-10.
const names = new Intl.Collator("en", { numeric: true });

export function byTrouble<Row>(rows: readonly Row[], trouble: (row: Row) => string, name: (row: Row) => string): Row[] {
  return rows.map((row) => ({ row, rank: trouble(row) === "" ? 1 : 0, name: name(row) }))
      .sort((a, b) => a.rank - b.rank || names.compare(a.name, b.name))
      .map(({ row }) => row);
}

// Jobs that run, then those that wait, then the ended ones, the newest first.
export function jobsInOrder(status: ClusterStatus): JobStatus[] {
  const rank = (job: JobStatus): number => (job.state === "RUNNING" ? 0 : job.state === "QUEUED" ? 1 : 2);
  return [...status.jobs].sort((a, b) => rank(a) - rank(b) || b.submittedUnixMs - a.submittedUnixMs);
}
