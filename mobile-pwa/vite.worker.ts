import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { defineConfig } from "vite";

// The service worker knows every file of the pages, which are built before it.
const dist = new URL("dist/", import.meta.url);

function files(): string[] {
  const assets = readdirSync(new URL("assets/", dist)).map((name) => `/assets/${name}`);
  return [...assets, "/icon.svg", "/icon-192.png", "/badge-96.png", "/manifest.webmanifest"].sort();
}

function version(): string {
  const hash = createHash("sha256");
  for (const file of ["/index.html", ...files()]) hash.update(file).update(readFileSync(new URL(`.${file}`, dist)));
  return hash.digest("hex").slice(0, 12);
}

export default defineConfig({
  publicDir: false,
  define: { FILES: JSON.stringify(files()), VERSION: JSON.stringify(version()) },
  build: {
    target: ["chrome111", "firefox115", "safari16.4"],
    emptyOutDir: false,
    reportCompressedSize: false,
    rollupOptions: { input: "sw/sw.ts", output: { format: "es", entryFileNames: "sw.js", inlineDynamicImports: true } },
  },
});
