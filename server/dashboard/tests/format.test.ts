import assert from "node:assert/strict";
import { test } from "node:test";
import { NONE, bytes, clock, duration, figure, percent, rate, short, whole } from "../source/format";

test("whole numbers are grouped", () => {
  assert.equal(whole(0), "0");
  assert.equal(whole(999), "999");
  assert.equal(whole(1234567), "1\u202f234\u202f567");
  assert.equal(whole(NaN), NONE);
});

test("figures keep their digits, however small, and tell what is no number", () => {
  assert.equal(figure(0), "0");
  assert.equal(figure(0.69312), "0.6931");
  assert.equal(figure(12.3456), "12.35");
  assert.equal(figure(0.0001), "0.0001000");
  assert.equal(figure(1e-7, 3), "1.00e-7");
  assert.equal(figure(-2.5, 3), "-2.50");
  assert.equal(figure(NaN), "NaN");
  assert.equal(figure(-Infinity), "−∞");
});

test("settings and ticks have no zeros at their ends", () => {
  assert.deepEqual([0.01, 0.00992565, 10, 0, 5120, 1e-7, 0.5, -2, NaN].map(short), ["0.01", "0.009926", "10", "0", "5\u202f120", "1e-7", "0.5", "-2", "NaN"]);
});

test("rates, bytes and shares have their units", () => {
  assert.equal(rate(1234.4, "images/s"), "1\u202f234 images/s");
  assert.equal(rate(9.876, "images/s"), "9.88 images/s");
  assert.equal(rate(0, "images/s"), "0 images/s");
  assert.equal(bytes(0), "0 B");
  assert.equal(bytes(999), "999 B");
  assert.equal(bytes(999999), "1.00 MB");
  assert.equal(bytes(1.5e9), "1.50 GB");
  assert.equal(percent(0.128), "13 %");
});

test("durations are told in the units that people use", () => {
  assert.equal(duration(0.25), "0.3 s");
  assert.equal(duration(59.4), "59 s");
  assert.equal(duration(59.7), "1 min 0 s");
  assert.equal(duration(3725), "1 h 2 min");
  assert.equal(duration(200000), "2 d 7 h");
  assert.equal(duration(NaN), NONE);
  assert.equal(duration(-1), NONE);
});

test("times of another day have their date", () => {
  const noon = new Date(2024, 4, 6, 12, 3, 9).getTime();
  assert.equal(clock(noon, noon + 1000), "12:03:09");
  assert.equal(clock(noon, noon + 86400000), "2024-05-06 12:03:09");
});
