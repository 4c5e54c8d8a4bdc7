// What has happened, out of the events of jobs and of who is a member: one list, newest first. Pure.
import { ClusterStatus, JobEvent } from "./messages";

export const KINDS = ["job", "test", "snapshot", "join", "loss", "recovery", "work"] as const;
export type Kind = (typeof KINDS)[number];

export const KIND_TITLES: Record<Kind, string> = {
  job: "Jobs", test: "Tests", snapshot: "Snapshots", join: "Joins", loss: "Losses", recovery: "Recoveries", work: "Work",
};

// Of one event.
export const KIND_WORDS: Record<Kind, string> = {
  job: "Job", test: "Test", snapshot: "Snapshot", join: "Join", loss: "Loss", recovery: "Recovery", work: "Work",
};

export interface Entry {
  key: string;
  unixMs: number;
  kind: Kind;
  // Empty: it is the cluster's.
  job: string;
  text: string;
}

// Words of the coordinator's for what it does after a loss.
const RECOVERY = /restor|recover|computed again|gone back|started again|restarted|takes? (the job|it) up|others get/i;

export function kindOf(event: JobEvent): Kind {
  switch (event.kind) {
    case "TEST": return "test";
    case "SNAPSHOT": return "snapshot";
    case "LEASE": return "recovery";
    case "WORKER": return RECOVERY.test(event.text) ? "recovery" : "work";
    default: return RECOVERY.test(event.text) ? "recovery" : "job";
  }
}

function entryOf(job: string, event: JobEvent): Entry {
  const often = event.repeats > 0 ? ` (and ${event.repeats} times more)` : "";
  return { key: `event ${job} ${event.number}`, unixMs: Math.max(event.unixMs, event.lastUnixMs), kind: kindOf(event), job,
           text: event.text + often };
}

// `events`: of each job that they were fetched of.
export function timelineOf(status: ClusterStatus, events: ReadonlyMap<string, readonly JobEvent[]>): Entry[] {
  const entries: Entry[] = [];
  for (const [job, list] of events) entries.push(...list.map((event) => entryOf(job, event)));
  for (const server of status.servers) {
    entries.push({ key: `server ${server.address} ${server.joinedUnixMs}`, unixMs: server.joinedUnixMs, kind: "join", job: "",
                   text: `server ${server.address} on ${server.host} joined` });
  }
  for (const worker of status.workers) {
    entries.push({ key: `worker ${worker.id}`, unixMs: worker.joinedUnixMs, kind: "join", job: "",
                   text: `worker ${worker.name} (${worker.id}) on ${worker.host} joined` });
  }
  for (const lost of status.lost) {
    const often = lost.times > 1 ? ` (${lost.times} times)` : "";
    entries.push({ key: `lost ${lost.name} ${lost.host} ${lost.reason}`, unixMs: lost.lostUnixMs, kind: "loss", job: "",
                   text: `${lost.name}${lost.host === "" ? "" : ` on ${lost.host}`}: ${lost.reason}${often}` });
  }
  return entries.filter((entry) => entry.unixMs > 0)
      .sort((a, b) => b.unixMs - a.unixMs || (a.key < b.key ? 1 : -1));
}
