// The contrasts of the palette, as WCAG 2.1 computes them: 4.5 for text, 3 for lines and edges.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

declare const DASHBOARD: string;
const css = readFileSync(join(DASHBOARD, "source", "palette.css"), "utf8");

type Palette = Map<string, string>;

function blocks(): Palette[] {
  return [...css.matchAll(/:root[^{]*\{([^}]*)\}/g)].map((block) =>
      new Map([...block[1]!.matchAll(/--([a-z0-9-]+): (#[0-9a-f]{6});/g)].map((match) => [match[1]!, match[2]!])));
}

function luminance(colour: string): number {
  const channel = (from: number): number => {
    const value = parseInt(colour.slice(from, from + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
}

function contrast(a: string, b: string): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

const PAIRS: [string, string, number][] = [
  ...["text", "muted", "accent", "bad"].flatMap((name): [string, string, number][] => [[name, "page", 4.5], [name, "panel", 4.5]]),
  ["text", "bad-panel", 4.5], ["text", "good-panel", 4.5], ["bad", "bad-panel", 4.5], ["good", "good-panel", 4.5], ["warn", "warn-panel", 4.5],
  // While nothing is current.
  ["muted", "bad-panel", 4.5], ["muted", "good-panel", 4.5],
  // A button that is pressed.
  ["page", "accent", 4.5],
  ["edge", "page", 3], ["edge", "panel", 3],
  ...[1, 2, 3, 4, 5, 6].map((i): [string, string, number] => [`line-${i}`, "panel", 3]),
];

test("the palettes of light and dark have enough contrast", () => {
  const found = blocks();
  assert.equal(found.length, 3);
  for (const [which, palette] of found.entries()) {
    for (const [front, back, least] of PAIRS) {
      const ratio = contrast(palette.get(front)!, palette.get(back)!);
      assert.ok(ratio >= least, `palette ${which}: ${front} on ${back} has ${ratio.toFixed(2)}, less than ${least}`);
    }
  }
});

test("dark is the same whether the system or the reader chooses it", () => {
  const [light, system, chosen] = blocks();
  assert.deepEqual(system, chosen);
  assert.deepEqual([...light!.keys()], [...system!.keys()]);
});
