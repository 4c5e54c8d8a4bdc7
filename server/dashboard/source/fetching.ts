// Asks the server that the page comes from, and no other.
import { ClusterStatus, HistoryBlock, JobEvent, readClusterStatus, readHistoryBlock, readJobEvent } from "./messages";
import { Reader } from "./wire";

// An answer takes no longer than this.
const PATIENCE_MS = 4000;

// The server has answered, and says that the job is not there (any more), or that a parameter is wrong.
export class Refused extends Error {
  constructor(readonly code: number, message: string) {
    super(message);
  }
}

async function get(path: string, parameters: Record<string, string | number> = {}): Promise<unknown> {
  const query = new URLSearchParams(Object.entries(parameters).map(([name, value]) => [name, String(value)])).toString();
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), PATIENCE_MS);
  try {
    const answer = await fetch(query === "" ? path : `${path}?${query}`, { signal: abort.signal, cache: "no-store" });
    const body = await answer.text();
    if (!answer.ok) throw new Refused(answer.status, body.trim());
    return JSON.parse(body);
  } finally {
    clearTimeout(timer);
  }
}

export async function fetchStatus(): Promise<ClusterStatus> {
  return readClusterStatus(new Reader(await get("api/v1/status")));
}

export async function fetchHistory(job: string, first: number, points: number): Promise<HistoryBlock[]> {
  return new Reader(await get("api/v1/history", { job, first, points })).messages("blocks", readHistoryBlock);
}

export async function fetchEvents(job: string, after: number): Promise<JobEvent[]> {
  return new Reader(await get("api/v1/events", { job, after })).messages("events", readJobEvent);
}
