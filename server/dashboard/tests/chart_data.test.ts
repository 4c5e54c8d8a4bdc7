import assert from "node:assert/strict";
import { test } from "node:test";
import { batchOf, imageRateLines, lossLines, testedLines } from "../source/chart_data";
import { Curve } from "../source/curve";
import { jobWith } from "./samples";

function curveOf(losses: number[]): Curve {
  const curve = new Curve();
  curve.append([{ iterations: losses.map((_, i) => i), seconds: losses.map((_, i) => i), losses, learningRates: losses.map(() => 0.1) }]);
  return curve;
}

const tests = [{ iteration: 0, net: 0, outputs: [{ name: "accuracy", value: 0.1, lossWeight: 0 }, { name: "loss", value: 2.3, lossWeight: 1 }] },
               { iteration: 500, net: 0, outputs: [{ name: "accuracy", value: 0.9, lossWeight: 0 }, { name: "loss", value: NaN, lossWeight: 1 }] }];
const settings = { smooth: false, logarithmic: false };

test("losses of tests are beside those of training, other outputs by themselves", () => {
  const jobs = [{ status: jobWith({ id: "a", tests }), curve: curveOf([3, 2]) }];
  assert.deepEqual(lossLines(jobs, settings).map((line) => [line.name, line.marks]), [["a: training loss", false], ["a: test loss", true]]);
  assert.deepEqual(lossLines(jobs, settings)[1]!.ys, [2.3, null]);
  assert.deepEqual(testedLines(jobs).map((line) => [line.name, line.xs, line.ys]), [["a: test accuracy", [0, 500], [0.1, 0.9]]]);
});

test("jobs that are compared have colours of their own, and nets of tests their names", () => {
  const two = [...tests, { ...tests[0]!, net: 1 }];
  const jobs = [{ status: jobWith({ id: "a" }), curve: curveOf([1]) }, { status: jobWith({ id: "b", tests: two }), curve: undefined }];
  assert.deepEqual(lossLines(jobs, settings).map((line) => [line.name, line.colour]),
                   [["a: training loss", 0], ["b: test loss of test net 0", 1], ["b: test loss of test net 1", 1]]);
});

test("on a logarithmic scale what is not positive is left out", () => {
  const jobs = [{ status: jobWith({ id: "a" }), curve: curveOf([3, 0, -1]) }];
  assert.deepEqual(lossLines(jobs, { smooth: false, logarithmic: true })[0]!.ys, [3, null, null]);
});

test("the batch of a job is what its samples say", () => {
  assert.equal(batchOf(jobWith({ samples: 3200, completedIterations: 150, resumedFrom: 50 })), 32);
  assert.equal(batchOf(jobWith({})), 0);
  const jobs = [{ status: jobWith({ id: "a", samples: 64, completedIterations: 2 }), curve: curveOf([1, 1, 1]) }];
  assert.deepEqual(imageRateLines(jobs)[0]!.ys, [32, 32]);
});
