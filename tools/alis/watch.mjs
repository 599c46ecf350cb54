// Watches a live stream with asciinema's own player (its core, which needs no browser) and prints
// what that makes of it, one JSON line for each event: node watch.mjs URL
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(import.meta.url);
// Node has one of its own from version 22 on.
globalThis.WebSocket = class extends require("ws").WebSocket {
  constructor(...how) {
    super(...how);
    this.on("error", () => {}); // a browser closes, and throws nothing
  }
};

// The file's name has a hash in it.
const dist = join(dirname(require.resolve("asciinema-player/dist/bundle/asciinema-player.css")), "..");
const core = readdirSync(dist).find((name) => /^core-.*\.js$/.test(name));
const { C: Core } = await import(pathToFileURL(join(dist, core)));

const say = (event, data) => process.stdout.write(JSON.stringify({ event, data }) + "\n");
const silent = { log() {}, debug() {}, info() {}, warn() {}, error() {} };
const source = { driver: "websocket", url: process.argv[2], reconnectDelay: () => 50 };
const player = new Core(source, { logger: silent, markers: [] });
for (const event of ["reset", "output", "resize", "offline", "ended", "loading", "error"]) {
  player.addEventListener(event, (data) => {
    // Output comes in batches.
    say(event, Array.isArray(data) ? data.join("") : data);
    if (event === "ended") process.exit(0);
  });
}
player.terminalReady();
await player.init();
await player.play();
