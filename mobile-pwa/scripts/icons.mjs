// Makes the PNG icons from their drawings: npm run icons. The PNGs are committed.
import { readFileSync } from "node:fs";
import { launch } from "../e2e/browser.mjs";

const here = (path) => new URL(`../${path}`, import.meta.url);
const ICONS = [
  ["public/icon.svg", "public/icon-192.png", 192],
  ["public/icon.svg", "public/icon-512.png", 512],
  ["art/maskable.svg", "public/maskable-512.png", 512],
  ["art/maskable.svg", "public/apple-touch-icon.png", 180],
  ["art/badge.svg", "public/badge-96.png", 96],
];

const browser = await launch();
const page = await browser.newPage();
for (const [source, target, size] of ICONS) {
  await page.setViewportSize({ width: size, height: size });
  const image = Buffer.from(readFileSync(here(source))).toString("base64");
  await page.setContent(
    `<style>*{margin:0}img{display:block}</style><img width="${size}" height="${size}" src="data:image/svg+xml;base64,${image}">`,
  );
  await page.waitForFunction(() => document.images[0]?.complete);
  await page.screenshot({ path: here(target).pathname, omitBackground: true });
}
await browser.close();
