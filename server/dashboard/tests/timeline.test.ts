import assert from "node:assert/strict";
import { test } from "node:test";
import { kindOf, timelineOf } from "../source/timeline";
import { serverWith, statusWith, workerWith } from "./samples";

const event = (kind: string, text: string, unixMs = 1000, number = 1) => ({ number, unixMs, kind, text, repeats: 0, lastUnixMs: 0 });

test("events have the kinds that people look for", () => {
  assert.equal(kindOf(event("TEST", "test of net 0 at iteration 500")), "test");
  assert.equal(kindOf(event("SNAPSHOT", "snapshot at iteration 500")), "snapshot");
  assert.equal(kindOf(event("STATE", "submitted")), "job");
  assert.equal(kindOf(event("STATE", "the coordinator was started again, and takes the job up again")), "recovery");
  assert.equal(kindOf(event("LEASE", "1 lease ended with work undone; others get it")), "recovery");
  assert.equal(kindOf(event("WORKER", "worker w: no such file")), "work");
  assert.equal(kindOf(event("WORKER", "worker w was lost; others get what it held: train 1..2")), "recovery");
});

test("joins, losses and the jobs' events are in one line, the newest first", () => {
  const status = statusWith({
    servers: [serverWith({ address: "a:1", host: "h", joinedUnixMs: 100 })], workers: [workerWith({ name: "w", id: 3, host: "h", joinedUnixMs: 300 })],
    lost: [{ name: "worker v (2)", host: "h", reason: "has been silent for 6 s", lostUnixMs: 200, times: 2 }],
  });
  const entries = timelineOf(status, new Map([["job", [event("STATE", "submitted", 50), { ...event("WORKER", "again", 60, 2), repeats: 3, lastUnixMs: 250 }]]]));
  assert.deepEqual(entries.map((entry) => [entry.kind, entry.text]), [
    ["join", "worker w (3) on h joined"], ["work", "again (and 3 times more)"], ["loss", "worker v (2) on h: has been silent for 6 s (2 times)"],
    ["join", "server a:1 on h joined"], ["job", "submitted"]]);
});
