// The last known state, for when there is no network. It is forgotten when one signs out.

import type { Agent, Whoami } from "../api/api.gen";

const KEY = "wsm.known";
/** More than this many agents are not kept. */
const AGENTS_MAX = 500;
const WRITE_MS = 2_000;

export interface Kept {
  at: number;
  who: Whoami;
  agents: Agent[];
}

let waiting: Kept | undefined;
let timer = 0;

export function read(): Kept | undefined {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "null") as Kept | null;
    return found && Array.isArray(found.agents) && typeof found.at === "number" ? found : undefined;
  } catch {
    return undefined;
  }
}

/** Written a little later, and once for many changes. */
export function write(state: Kept): void {
  waiting = state;
  timer ||= window.setTimeout(flush, WRITE_MS);
}

function flush(): void {
  timer = 0;
  if (!waiting) return;
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...waiting, agents: waiting.agents.slice(0, AGENTS_MAX) }));
  } catch {
    // No room: what was kept before is older, and says when it was seen.
  }
  waiting = undefined;
}

export function clear(): void {
  window.clearTimeout(timer);
  timer = 0;
  waiting = undefined;
  for (const key of Object.keys(localStorage)) {
    if (key.startsWith("wsm.") && key !== "wsm.settings") localStorage.removeItem(key);
  }
}
