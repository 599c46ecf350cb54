// Says what is looked at, so that nobody is rung up for what they see already.

import { effect } from "@preact/signals";
import { call } from "../api/client";
import { THERE_MS, lookedAt } from "../model/looked";
import { watches } from "../model/rights";
import { route } from "../route";
import { expired, way, who } from "./store";

const AGAIN_MS = 20_000;

/** What somebody does who is there. */
const SIGNS = ["keydown", "pointerdown", "pointermove", "touchstart", "wheel"];

let timer = 0;
/** When somebody did something here last. */
let there = Date.now();
/** What this page showed when it said so last. */
let shown: string | null = null;
/** One after the other: what is said last is what holds. */
let saying: Promise<unknown> = Promise.resolve();

function say(agent: string, visible: boolean): void {
  if (!who.peek() || watches(who.peek()) || expired.peek() || way.peek() !== "live") return;
  saying = saying.then(() => call("post /v1/visible", { body: { agent, visible } })).catch(() => undefined);
}

function tell(): void {
  window.clearTimeout(timer);
  const agent = lookedAt(route.peek(), document.visibilityState === "visible", Date.now() - there);
  // Who has left is rung up again at once, not when what was said has run out.
  if (shown !== null && shown !== agent) say(shown, false);
  shown = agent;
  if (agent === null) return;
  say(agent, true);
  timer = window.setTimeout(tell, AGAIN_MS);
}

function come(): void {
  const away = Date.now() - there;
  there = Date.now();
  if (away >= THERE_MS) tell();
}

export function observe(): void {
  document.addEventListener("visibilitychange", () => {
    there = Date.now();
    tell();
  });
  for (const sign of SIGNS) document.addEventListener(sign, come, { capture: true, passive: true });
  effect(() => {
    void route.value;
    void way.value;
    tell();
  });
}
