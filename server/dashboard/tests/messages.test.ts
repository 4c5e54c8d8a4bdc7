import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as messages from "../source/messages";
import { Reader } from "../source/wire";

declare const DASHBOARD: string;
const PROTO = join(DASHBOARD, "..", "..", "proto", "samovar", "v1");

// The fields of a message, by the .proto that has it.
function fieldsOf(message: string): Set<string> {
  const text = ["status.proto", "job.proto"].map((name) => readFileSync(join(PROTO, name), "utf8")).join("\n").replace(/\/\/.*$/gm, "");
  const begin = new RegExp(`\\bmessage ${message} \\{`).exec(text);
  assert.ok(begin, `there is no message ${message}`);
  const body = text.slice(begin.index, text.indexOf("\n}", begin.index));
  return new Set([...body.matchAll(/([a-z_0-9]+) = \d+/g)].map((match) => match[1]!));
}

// Notes what is asked for.
class Asked extends Reader {
  readonly names: string[] = [];
  constructor() { super({}); }
  override number(name: string): number { this.names.push(name); return super.number(name); }
  override has(name: string): boolean { this.names.push(name); return super.has(name); }
  override text(name: string): string { this.names.push(name); return super.text(name); }
  override flag(name: string): boolean { this.names.push(name); return super.flag(name); }
  override numbers(name: string): number[] { this.names.push(name); return super.numbers(name); }
  override texts(name: string): string[] { this.names.push(name); return super.texts(name); }
  override message<T>(name: string, read: (message: Reader) => T): T { this.names.push(name); return super.message(name, read); }
  override messages<T>(name: string, read: (message: Reader) => T): T[] { this.names.push(name); return super.messages(name, read); }
}

test("each field that the page reads is one of the message's", () => {
  const readers = Object.entries(messages).filter(([name]) => name.startsWith("read"));
  assert.ok(readers.length >= 11);
  for (const [name, read] of readers) {
    const asked = new Asked();
    (read as (message: Reader) => unknown)(asked);
    const fields = fieldsOf(name.slice("read".length));
    for (const field of asked.names) assert.ok(fields.has(field), `${name} reads ${field}, which the .proto does not have`);
  }
});

test("what is missing is empty, and what is no message does no harm", () => {
  for (const value of [undefined, null, 7, "x", [], {}]) {
    const status = messages.readClusterStatus(new Reader(value));
    assert.deepEqual(status.workers, []);
    assert.equal(status.unixMs, 0);
  }
});
