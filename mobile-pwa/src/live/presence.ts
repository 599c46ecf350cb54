// Says what is looked at, so that nobody is rung up for what they see already.

import { effect } from "@preact/signals";
import { call } from "../api/client";
import { watches } from "../model/rights";
import { route } from "../route";
import { expired, way, who } from "./store";

const AGAIN_MS = 20_000;

let timer = 0;
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
  const { page, parts } = route.peek();
  const visible = document.visibilityState === "visible";
  const agent = visible && page === "agent" ? (parts[0] ?? null) : null;
  // Who has left is rung up again at once, not when what was said has run out.
  if (shown !== null && shown !== agent) say(shown, false);
  shown = agent;
  if (agent === null) return;
  say(agent, true);
  timer = window.setTimeout(tell, AGAIN_MS);
}

export function observe(): void {
  document.addEventListener("visibilitychange", tell);
  effect(() => {
    void route.value;
    void way.value;
    tell();
  });
}
