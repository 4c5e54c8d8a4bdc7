// How old the news is, and when to ask again. No clock and no timer of its own: callers pass milliseconds of a steady clock.

const INTERVAL_MS = 1000;
const LONGEST_MS = 5000;
// News that is older is not shown as current.
export const FRESH_MS = 2500;

export class News {
  private heardAt: number;
  private failures = 0;

  constructor(now: number) {
    this.heardAt = now;
  }

  heard(now: number): void {
    this.heardAt = now;
    this.failures = 0;
  }

  failed(): void {
    ++this.failures;
  }

  // Until it is asked again.
  delay(): number {
    return Math.min(LONGEST_MS, INTERVAL_MS * 2 ** Math.max(0, Math.min(this.failures, 10) - 1));
  }

  age(now: number): number {
    return Math.max(0, now - this.heardAt);
  }

  fresh(now: number): boolean {
    return this.age(now) <= FRESH_MS;
  }
}
