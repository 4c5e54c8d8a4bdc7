// Which jobs' curves are compared. Until somebody chooses, those that run, or else the newest. The choice is in the page's address.
import { JobStatus } from "./messages";
import { isActive } from "./trouble";

// So many lines can be told apart.
export const MOST_JOBS = 6;

export class Selection {
  private chosen: string[] | null;

  // `hash`: as location.hash.
  constructor(hash: string) {
    const match = /^#jobs=(.*)$/.exec(hash);
    this.chosen = null;
    if (match === null) return;
    try {
      this.chosen = match[1]!.split(",").filter((part) => part !== "").map(decodeURIComponent);
    } catch {
      // Somebody typed it.
    }
  }

  hash(): string {
    // "#" and "," of names are encoded.
    return this.chosen === null ? "" : `#jobs=${this.chosen.map(encodeURIComponent).join(",")}`;
  }

  // Their names, in the order in which they get their colours.
  of(jobs: readonly JobStatus[]): string[] {
    if (this.chosen !== null) {
      const there = new Set(jobs.map((job) => job.id));
      return this.chosen.filter((name) => there.has(name)).slice(0, MOST_JOBS);
    }
    const active = jobs.filter((job) => isActive(job) && job.state === "RUNNING").slice(0, 3);
    return (active.length > 0 ? active : jobs.slice(0, 1)).map((job) => job.id);
  }

  // Whether it could be chosen: one beyond the most cannot.
  toggle(name: string, jobs: readonly JobStatus[]): boolean {
    const now = this.of(jobs);
    if (now.includes(name)) {
      this.chosen = now.filter((other) => other !== name);
      return true;
    }
    if (now.length >= MOST_JOBS) return false;
    this.chosen = [...now, name];
    return true;
  }
}
