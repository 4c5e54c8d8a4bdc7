// The lines of each chart, out of the chosen jobs' curves and tests. Pure.
import { Curve, imageRates, positive, smoothed } from "./curve";
import { JobStatus } from "./messages";

export interface Line {
  name: string;
  // The job's place among the chosen ones: its colour.
  colour: number;
  // 0: drawn through; above: dashed, each number in another way.
  dash: number;
  // With a mark at each value: they are few.
  marks: boolean;
  xs: number[];
  ys: (number | null)[];
}

export interface ChosenJob {
  status: JobStatus;
  curve: Curve | undefined;
}

export interface ChartSettings {
  smooth: boolean;
  logarithmic: boolean;
}

// Tests of losses, or of all else.
function testLines(jobs: readonly ChosenJob[], losses: boolean): Line[] {
  const lines: Line[] = [];
  jobs.forEach(({ status }, colour) => {
    const found = new Map<string, Line>();
    const several = new Set(status.tests.map((test) => test.net)).size > 1;
    for (const test of status.tests) {
      for (const output of test.outputs) {
        if (output.lossWeight !== 0 !== losses) continue;
        const key = `${test.net} ${output.name}`;
        let line = found.get(key);
        if (line === undefined) {
          const net = several ? ` of test net ${test.net}` : "";
          line = { name: `${status.id}: test ${output.name}${net}`, colour, dash: found.size + (losses ? 1 : 0), marks: true, xs: [], ys: [] };
          found.set(key, line);
        }
        line.xs.push(test.iteration);
        line.ys.push(Number.isFinite(output.value) ? output.value : null);
      }
    }
    lines.push(...found.values());
  });
  return lines;
}

export function lossLines(jobs: readonly ChosenJob[], settings: ChartSettings): Line[] {
  const lines: Line[] = [];
  jobs.forEach(({ status, curve }, colour) => {
    if (curve === undefined || curve.iterations.length === 0) return;
    const ys = settings.smooth ? smoothed(curve.losses) : curve.losses;
    lines.push({ name: `${status.id}: training loss${settings.smooth ? ", smoothed" : ""}`, colour, dash: 0, marks: false, xs: curve.iterations, ys });
  });
  lines.push(...testLines(jobs, true));
  return settings.logarithmic ? lines.map((line) => ({ ...line, ys: positive(line.ys) })) : lines;
}

export function testedLines(jobs: readonly ChosenJob[]): Line[] {
  return testLines(jobs, false);
}

export function learningRateLines(jobs: readonly ChosenJob[]): Line[] {
  return jobs.flatMap(({ status, curve }, colour) => curve === undefined || curve.iterations.length === 0 ? [] :
      [{ name: `${status.id}: learning rate`, colour, dash: 0, marks: false, xs: curve.iterations, ys: curve.learningRates }]);
}

// Images of an iteration; 0: not known yet.
export function batchOf(status: JobStatus): number {
  const done = status.completedIterations - status.resumedFrom;
  return done > 0 ? status.samples / done : 0;
}

export function imageRateLines(jobs: readonly ChosenJob[]): Line[] {
  return jobs.flatMap(({ status, curve }, colour) => {
    if (curve === undefined) return [];
    const { iterations, rates } = imageRates(curve.iterations, curve.seconds, batchOf(status));
    return iterations.length === 0 ? [] : [{ name: `${status.id}: images/s`, colour, dash: 0, marks: false, xs: iterations, ys: rates }];
  });
}
