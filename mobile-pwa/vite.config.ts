import { defineConfig } from "vite";

// The pages. The service worker is built by vite.worker.ts: it must be one file at the root.
export default defineConfig({
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    target: ["chrome111", "firefox115", "safari16.4"],
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    manifest: true,
    reportCompressedSize: false,
  },
});
