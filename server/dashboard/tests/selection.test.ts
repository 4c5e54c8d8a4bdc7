import assert from "node:assert/strict";
import { test } from "node:test";
import { MOST_JOBS, Selection } from "../source/selection";
import { jobWith } from "./samples";

const jobs = [jobWith({ id: "a", state: "RUNNING" }), jobWith({ id: "b", state: "SUCCEEDED" }), jobWith({ id: "#, %", state: "FAILED" })];

test("jobs that run are chosen until somebody chooses, else the newest", () => {
  assert.deepEqual(new Selection("").of(jobs), ["a"]);
  assert.deepEqual(new Selection("").of(jobs.slice(1)), ["b"]);
  assert.deepEqual(new Selection("").of([]), []);
});

test("a choice goes through the page's address, whatever the names hold", () => {
  const selection = new Selection("");
  assert.equal(selection.toggle("#, %", jobs), true);
  assert.deepEqual(selection.of(jobs), ["a", "#, %"]);
  assert.deepEqual(new Selection(selection.hash()).of(jobs), ["a", "#, %"]);
  selection.toggle("a", jobs);
  selection.toggle("#, %", jobs);
  assert.deepEqual(selection.of(jobs), []);
  assert.deepEqual(new Selection("#jobs=%").of(jobs), ["a"]);
});

test("a job that is gone is chosen no more, and there is a most", () => {
  const selection = new Selection("#jobs=a,gone");
  assert.deepEqual(selection.of(jobs), ["a"]);
  const many = Array.from({ length: MOST_JOBS + 1 }, (_, i) => jobWith({ id: `job-${i}` }));
  const full = new Selection("#jobs=" + many.slice(0, MOST_JOBS).map((job) => job.id).join(","));
  assert.equal(full.toggle(`job-${MOST_JOBS}`, many), false);
  assert.equal(full.of(many).length, MOST_JOBS);
});
