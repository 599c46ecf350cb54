// Fails when the pages have become heavier than was agreed: gzip of all JavaScript that a route loads.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const BUDGETS = [
  { route: "list and approve", from: ["index", "agent", "text", "diff"], max: 30 },
  { route: "terminal", from: ["index", "agent", "diff", "terminals", "addon-webgl"], max: 160 },
];

const dist = new URL("../dist/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL(".vite/manifest.json", dist), "utf8"));
const chunks = Object.values(manifest).filter((chunk) => chunk.file.endsWith(".js"));
const found = (name) => manifest[name] ?? chunks.find((chunk) => chunk.name === name);

/** Files that come with a chunk, those it imports at once included. */
function files(name, all = new Set()) {
  const chunk = found(name);
  if (!chunk) throw new Error(`size: there is no ${name} in the build`);
  if (all.has(chunk.file)) return all;
  all.add(chunk.file);
  for (const other of chunk.imports ?? []) files(other, all);
  return all;
}

let over = false;
for (const { route, from, max } of BUDGETS) {
  const all = new Set(from.flatMap((name) => [...files(name)]));
  const bytes = [...all].reduce((sum, file) => sum + gzipSync(readFileSync(new URL(file, dist)), { level: 9 }).length, 0);
  const kilobytes = bytes / 1024;
  console.log(`${route}: ${kilobytes.toFixed(1)} KB of JavaScript, gzip (${max} at most)`);
  over ||= kilobytes > max;
}
if (over) {
  console.error("heavier than agreed");
  process.exit(1);
}
