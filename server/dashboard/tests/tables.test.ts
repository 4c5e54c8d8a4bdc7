import assert from "node:assert/strict";
import { test } from "node:test";
import { NONE } from "../source/format";
import { lastTestText, leftText, snapshotText, stateText } from "../source/job_table";
import { queueText, snapshotsText, trafficText } from "../source/server_table";
import { byTrouble, jobsInOrder, serverTrouble, workerTrouble } from "../source/trouble";
import { errorText, splitText, stalenessText } from "../source/worker_table";
import { jobWith, serverWith, statusWith, workerWith } from "./samples";

test("workers with trouble come first, then by name as people count", () => {
  const workers = [workerWith({ name: "worker-10" }), workerWith({ name: "worker-2" }), workerWith({ name: "worker-9", straggler: "slow: 1 image/s" }),
                   workerWith({ name: "worker-11", silentSeconds: 3.5 })];
  const sorted = byTrouble(workers, (worker) => workerTrouble(worker, 0), (worker) => worker.name);
  assert.deepEqual(sorted.map((worker) => worker.name), ["worker-9", "worker-11", "worker-2", "worker-10"]);
});

test("an error is trouble for a minute", () => {
  const worker = workerWith({ lastError: "no such file", lastErrorUnixMs: 1000, errors: 3 });
  assert.equal(workerTrouble(worker, 60000), "failing");
  assert.equal(workerTrouble(worker, 62000), "");
  assert.deepEqual(errorText({ worker, unixMs: 31000 }), { text: "no such file", note: "30 s ago, 3 times", bad: true });
});

test("figures of a silent server are not shown as current", () => {
  const figures = { ...serverWith({}).figures, queuedTasks: 4 };
  const lively = serverWith({ rateSeconds: 10, receivedBytesPerSecond: 2e6, figures });
  assert.deepEqual(trafficText(lively), { text: "in 2.00 MB/s", note: "out 0 B/s" });
  assert.equal(queueText(lively).text, "4 tasks");
  const silent = { ...lively, silentSeconds: 4 };
  assert.equal(trafficText(silent).text, NONE);
  assert.equal(queueText(silent).text, NONE);
  assert.equal(serverTrouble(silent), "silent");
});

test("a disk that is nearly full is trouble", () => {
  const figures = { ...serverWith({}).figures, diskBytes: 64e6, diskFreeBytes: 0 };
  assert.equal(serverTrouble(serverWith({ figures })), "disk full");
  assert.equal(serverTrouble(serverWith({ figures: { ...figures, diskFreeBytes: 32e6 } })), "");
});

test("a server's snapshots are told with their age and what failed", () => {
  assert.equal(snapshotsText(serverWith({})).text, "none yet");
  const figures = { ...serverWith({}).figures, snapshotAgeSeconds: 12, snapshotBytes: 3e6, snapshotSeconds: 0.5, failedSnapshots: 2 };
  assert.deepEqual(snapshotsText(serverWith({ figures })), { text: "12 s ago, 2 failed", note: "3.00 MB in 0.5 s" });
});

test("the split of time is told by its largest part", () => {
  assert.equal(splitText({ compute: 0.6, feed: 0.1, push: 0, pull: 0.2, prepare: 0, test: 0 }), "60 % computes");
  assert.equal(splitText({ compute: 0.1, feed: 0, push: 0, pull: 0, prepare: 0, test: 0 }), "90 % idle");
});

test("staleness is shown once it is known", () => {
  assert.equal(stalenessText(workerWith({})).text, NONE);
  assert.deepEqual(stalenessText(workerWith({ staleness: { p50: 1, p99: 4, max: 9, pushes: 100 } })), { text: "1 update", note: "99 %: 4, most 9" });
});

test("a job's row tells its cause, its time and its tests", () => {
  const row = { job: jobWith({ state: "RUNNING", cause: "waits for server x", etaSeconds: 90, seconds: 30 }), place: 0, unixMs: 0 };
  assert.deepEqual(stateText(row), { text: "runs", note: "waits for server x", bad: true });
  assert.deepEqual(leftText(row), { text: "1 min 30 s", note: "has run 30 s" });
  assert.equal(stateText({ ...row, job: jobWith({ state: "QUEUED", queuePosition: 2 }) }).text, "waits, place 2");
  const tests = [{ iteration: 500, net: 0, outputs: [{ name: "accuracy", value: 0.9876, lossWeight: 0 }] }];
  assert.deepEqual(lastTestText({ ...row, job: jobWith({ tests }) }), { text: "accuracy 0.9876", note: "at iteration 500" });
  const snapshots = [{ iteration: 100, unixMs: 5000, exportedTo: "" }];
  assert.deepEqual(snapshotText({ job: jobWith({ snapshots }), place: 0, unixMs: 9000 }), { text: "iteration 100", note: "4.0 s ago" });
});

test("jobs that run come first, then those that wait, then the newest", () => {
  const jobs = [jobWith({ id: "old", state: "SUCCEEDED", submittedUnixMs: 1 }), jobWith({ id: "new", state: "FAILED", submittedUnixMs: 5 }),
                jobWith({ id: "waits", state: "QUEUED", submittedUnixMs: 6 }), jobWith({ id: "runs", state: "RUNNING", submittedUnixMs: 2 })];
  assert.deepEqual(jobsInOrder(statusWith({ jobs })).map((job) => job.id), ["runs", "waits", "new", "old"]);
});
