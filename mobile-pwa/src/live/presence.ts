// Says what is looked at, so that nobody is rung up for what they see already.

import { effect } from "@preact/signals";
import { call } from "../api/client";
import { watches } from "../model/rights";
import { route } from "../route";
import { expired, way, who } from "./store";

const AGAIN_MS = 20_000;

let timer = 0;
let told = "";

function tell(): void {
  window.clearTimeout(timer);
  const visible = document.visibilityState === "visible";
  const { page, parts } = route.peek();
  const agent = page === "agent" ? (parts[0] ?? null) : null;
  // A hidden page says so once; what is said of a visible one runs out by itself.
  const now = JSON.stringify([visible, agent]);
  if (!visible && now === told) return;
  told = now;
  if (who.peek() && !watches(who.peek()) && !expired.peek() && way.peek() === "live") {
    call("post /v1/visible", { body: { agent, visible } }).catch(() => undefined);
  }
  if (visible) timer = window.setTimeout(tell, AGAIN_MS);
}

export function observe(): void {
  document.addEventListener("visibilitychange", tell);
  effect(() => {
    void route.value;
    void way.value;
    tell();
  });
}
