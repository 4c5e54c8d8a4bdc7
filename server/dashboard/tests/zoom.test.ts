import assert from "node:assert/strict";
import { test } from "node:test";
import { Zoom } from "../source/zoom";

function zoomOf(max: number): Zoom {
  const zoom = new Zoom();
  zoom.setFull({ min: 0, max });
  return zoom;
}

test("without a zoom all is shown, also what comes later", () => {
  const zoom = zoomOf(100);
  assert.deepEqual(zoom.shown(), { min: 0, max: 100 });
  zoom.setFull({ min: 0, max: 200 });
  assert.deepEqual(zoom.shown(), { min: 0, max: 200 });
  assert.equal(zoom.zoomed(), false);
});

test("a zoomed stretch stays while more comes", () => {
  const zoom = zoomOf(100);
  zoom.scale(0.5);
  assert.deepEqual(zoom.shown(), { min: 25, max: 75 });
  zoom.setFull({ min: 0, max: 1000 });
  assert.deepEqual(zoom.shown(), { min: 25, max: 75 });
});

test("moving ends at the ends, and zooming out far enough shows all", () => {
  const zoom = zoomOf(100);
  zoom.set({ min: 80, max: 90 });
  for (let i = 0; i < 20; ++i) zoom.pan(0.25);
  assert.deepEqual(zoom.shown(), { min: 90, max: 100 });
  zoom.scale(100);
  assert.equal(zoom.zoomed(), false);
});

test("whoever listens is told", () => {
  const zoom = zoomOf(10);
  let told = 0;
  zoom.onChange(() => ++told);
  zoom.set({ min: 2, max: 3 });
  zoom.set(null);
  assert.equal(told, 2);
});
