// Keeps the curves and the events of the chosen jobs up to date: asks for what is new only, and for all when the coordinator is another one.
import { Curve, POINTS } from "./curve";
import { Refused, fetchEvents, fetchHistory } from "./fetching";
import { JobEvent, JobStatus } from "./messages";
import { isActive } from "./trouble";

const CURVE_MS = 1000;
const EVENTS_MS = 2000;
// Events that repeat are counted in their places, so all are asked for now and then.
const ALL_EVENTS_MS = 30000;

interface Kept<T> {
  value: T;
  epoch: number;
  // What it was fetched for: a job that is as it was needs nothing.
  state: string;
  askedAt: number;
  allAt: number;
}

export class Stores {
  readonly curves = new Map<string, Kept<Curve>>();
  readonly events = new Map<string, Kept<JobEvent[]>>();
  private busy = false;

  constructor(private readonly onChange: () => void) {}

  // Asks for what is missing of these jobs. Does nothing while an earlier call still does.
  async refresh(jobs: readonly JobStatus[], epoch: number, now: number): Promise<void> {
    const there = new Set(jobs.map((job) => job.id));
    for (const kept of [this.curves, this.events]) {
      for (const name of [...kept.keys()]) {
        if (!there.has(name)) kept.delete(name);
      }
    }
    if (this.busy) return;
    this.busy = true;
    try {
      const changes = await Promise.all(jobs.flatMap((job) => [this.refreshCurve(job, epoch, now), this.refreshEvents(job, epoch, now)]));
      if (changes.some((changed) => changed)) this.onChange();
    } finally {
      this.busy = false;
    }
  }

  private async refreshCurve(job: JobStatus, epoch: number, now: number): Promise<boolean> {
    const before = this.curves.get(job.id);
    // A job of the same name may have been submitted since.
    const state = `${job.state} ${job.submittedUnixMs}`;
    const same = before !== undefined && before.epoch === epoch && before.state.split(" ")[1] === String(job.submittedUnixMs);
    if (same && before.state === state && (!isActive(job) || now - before.askedAt < CURVE_MS)) return false;
    const anew = !same || before.value.full();
    return this.ask(async () => {
      const curve = anew ? new Curve() : before.value;
      const points = curve.iterations.length;
      curve.append(await fetchHistory(job.id, curve.next(), POINTS));
      this.curves.set(job.id, { value: curve, epoch, state, askedAt: now, allAt: now });
      return anew || curve.iterations.length > points;
    }, () => this.curves.delete(job.id));
  }

  private async refreshEvents(job: JobStatus, epoch: number, now: number): Promise<boolean> {
    const before = this.events.get(job.id);
    const state = `${job.state} ${job.submittedUnixMs}`;
    const same = before !== undefined && before.epoch === epoch && before.state === state;
    if (same && (!isActive(job) || now - before.askedAt < EVENTS_MS)) return false;
    const anew = !same || now - before.allAt > ALL_EVENTS_MS;
    return this.ask(async () => {
      const known = anew ? [] : before.value;
      const more = await fetchEvents(job.id, known[known.length - 1]?.number ?? 0);
      this.events.set(job.id, { value: [...known, ...more], epoch, state, askedAt: now, allAt: anew ? now : before!.allAt });
      return anew || more.length > 0;
    }, () => this.events.delete(job.id));
  }

  // Whether something has changed. What fails is asked for again with the next status.
  private async ask(fetchIt: () => Promise<boolean>, forget: () => void): Promise<boolean> {
    try {
      return await fetchIt();
    } catch (error) {
      if (error instanceof Refused && error.code === 404) forget();
      return false;
    }
  }
}
