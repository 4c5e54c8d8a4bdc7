// The curve of one job as far as it has been fetched: columns that grow at their end.
import { HistoryBlock } from "./messages";

// Asked for at once; a picture shows no more.
export const POINTS = 2000;

export class Curve {
  readonly iterations: number[] = [];
  readonly seconds: number[] = [];
  // null where it is not known or no number.
  readonly losses: (number | null)[] = [];
  readonly learningRates: (number | null)[] = [];

  // Takes blocks that begin behind the newest point; what overlaps is left out.
  append(blocks: readonly HistoryBlock[]): void {
    const finite = (value: number | undefined): number | null => (value !== undefined && Number.isFinite(value) ? value : null);
    for (const block of blocks) {
      block.iterations.forEach((iteration, i) => {
        if (iteration < this.next()) return;
        this.iterations.push(iteration);
        this.seconds.push(block.seconds[i] ?? NaN);
        this.losses.push(finite(block.losses[i]));
        this.learningRates.push(finite(block.learningRates[i]));
      });
    }
  }

  // The first iteration that is not here.
  next(): number {
    const newest = this.iterations[this.iterations.length - 1];
    return newest === undefined ? 0 : newest + 1;
  }

  // Points have been added for so long that the whole is better fetched anew, thinned.
  full(): boolean {
    return this.iterations.length > 2 * POINTS;
  }
}

// An exponential mean over some 50 points; what is not known is left out.
export function smoothed(values: readonly (number | null)[], weight = 0.04): (number | null)[] {
  let mean: number | null = null;
  return values.map((value) => {
    if (value === null) return null;
    mean = mean === null ? value : mean + weight * (value - mean);
    return mean;
  });
}

// Images a second over stretches of the curve, at their ends: an iteration is `batch` images.
export function imageRates(iterations: readonly number[], seconds: readonly number[], batch: number, stretches = 200):
    { iterations: number[]; rates: number[] } {
  const result = { iterations: [] as number[], rates: [] as number[] };
  const first = seconds[0], last = seconds[seconds.length - 1];
  if (first === undefined || last === undefined || !(last > first) || !(batch > 0)) return result;
  // Stretches of equal time, a second at least: results come in bunches.
  const least = Math.max(1, (last - first) / stretches);
  let from = 0;
  for (let i = 1; i < iterations.length; ++i) {
    const took = seconds[i]! - seconds[from]!;
    if (took < least) continue;
    result.iterations.push(iterations[i]!);
    result.rates.push(((iterations[i]! - iterations[from]!) * batch) / took);
    from = i;
  }
  return result;
}

// On a logarithmic scale there is no place for what is not positive.
export function positive(values: readonly (number | null)[]): (number | null)[] {
  return values.map((value) => (value !== null && value > 0 ? value : null));
}
