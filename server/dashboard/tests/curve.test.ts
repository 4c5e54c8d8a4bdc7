import assert from "node:assert/strict";
import { test } from "node:test";
import { Curve, POINTS, imageRates, positive, smoothed } from "../source/curve";
import { readHistoryBlock } from "../source/messages";
import { Reader } from "../source/wire";

const block = (iterations: number[]) => ({ iterations, seconds: iterations.map((i) => i / 10), losses: iterations.map((i) => 1 / (i + 1)), learningRates: iterations.map(() => 0.01) });

test("a curve grows behind its newest point only", () => {
  const curve = new Curve();
  assert.equal(curve.next(), 0);
  curve.append([block([0, 1, 2]), block([3])]);
  curve.append([block([2, 3, 4])]);
  assert.deepEqual(curve.iterations, [0, 1, 2, 3, 4]);
  assert.equal(curve.losses.length, 5);
  assert.equal(curve.next(), 5);
});

test("a curve that has grown for long is to be fetched anew", () => {
  const curve = new Curve();
  curve.append([block(Array.from({ length: 2 * POINTS }, (_, i) => i))]);
  assert.equal(curve.full(), false);
  curve.append([block([2 * POINTS])]);
  assert.equal(curve.full(), true);
});

test("blocks are read as protobuf writes them: numbers of 64 bits and NaN are texts", () => {
  const read = readHistoryBlock(new Reader(JSON.parse('{"iterations":["0","18014398509481984"],"losses":["NaN",0.5],"learning_rates":["Infinity",0.1],"seconds":[0.1,0.2]}')));
  assert.deepEqual(read.iterations, [0, 18014398509481984]);
  const curve = new Curve();
  curve.append([read]);
  assert.deepEqual(curve.losses, [null, 0.5]);
  assert.deepEqual(curve.learningRates, [null, 0.1]);
});

test("smoothing leaves gaps where they are and comes near a constant", () => {
  assert.deepEqual(smoothed([null, 1, null, 1]), [null, 1, null, 1]);
  const ys = smoothed([10, ...Array.from({ length: 200 }, () => 1)]);
  assert.equal(ys[0], 10);
  assert.ok(Math.abs(ys[200]! - 1) < 0.01);
});

test("image rates are of equal stretches of time", () => {
  const iterations = Array.from({ length: 101 }, (_, i) => i), seconds = iterations.map((i) => i / 10);
  const found = imageRates(iterations, seconds, 32);
  assert.equal(found.rates.length, 10);
  for (const rate of found.rates) assert.ok(Math.abs(rate - 320) < 1e-6);
  assert.deepEqual(imageRates([], [], 32).rates, []);
  assert.deepEqual(imageRates(iterations, seconds, 0).rates, []);
});

test("a logarithmic scale has no zero", () => {
  assert.deepEqual(positive([1, 0, -1, null]), [1, null, null, null]);
});
