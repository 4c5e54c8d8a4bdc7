// Makes the bundle of the source, or the unit tests: node build.mjs bundle|tests [DIRECTORY]
//
// The same source and the same lock file make the same bytes. bundle/SHA256SUMS has the digests of all that goes in and comes out, so
// that a test without npm finds a bundle that is not of its source.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const [what = "bundle", into = join(here, what === "bundle" ? "bundle" : "build")] = process.argv.slice(2);
const target = ["es2021"];

const read = (path) => readFileSync(join(here, path), "utf8");
const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");

async function makeTests() {
  await build({ absWorkingDir: here, entryPoints: ["tests/all.ts"], outfile: join(into, "tests.mjs"), bundle: true, platform: "node",
                format: "esm", target, logLevel: "warning", define: { DASHBOARD: JSON.stringify(here) } });
}

async function makeBundle() {
  mkdirSync(into, { recursive: true });
  const made = await build({ absWorkingDir: here, entryPoints: ["source/main.ts"], bundle: true, minify: true, format: "iife", target,
                             charset: "utf8", legalComments: "none", write: false, logLevel: "warning" });
  const version = JSON.parse(read("package.json")).dependencies.uplot;
  const licence = read("node_modules/uplot/LICENSE").trim();
  const files = {
    "index.html": read("source/index.html"),
    "app.js": `/* Samovar's dashboard, with uPlot ${version}, whose licence is in NOTICE. Made by build.mjs; the source is beside it. */\n` +
        made.outputFiles[0].text,
    "app.css": `/* Made by build.mjs. Below: uPlot ${version}, see NOTICE. */\n` + read("source/palette.css") + read("source/page.css") +
        read("node_modules/uplot/dist/uPlot.min.css").trim() + "\n",
    "NOTICE": `The dashboard's script and style contain uPlot ${version}, under this licence:\n\n${licence}\n`,
  };
  const sources = ["build.mjs", "package.json", "package-lock.json", "tsconfig.json",
                   ...readdirSync(join(here, "source")).sort().map((name) => `source/${name}`)];
  const lines = [...sources.map((path) => `${digest(readFileSync(join(here, path)))}  ${path}`),
                 ...Object.entries(files).map(([name, text]) => `${digest(text)}  bundle/${name}`)];
  for (const [name, text] of Object.entries(files)) writeFileSync(join(into, name), text);
  writeFileSync(join(into, "SHA256SUMS"), lines.join("\n") + "\n");
}

await (what === "tests" ? makeTests() : makeBundle());
