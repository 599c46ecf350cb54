// Where one is: the part of the address after `#`.

import { signal } from "@preact/signals";

export interface Route {
  /** `agents`, `agent`, `new`, `activity`, `desk`, `settings`, or what a link brings: `pair`, `invite`, `watch`. */
  page: string;
  /** What follows: an agent's name and its tab, a page of the settings. */
  parts: string[];
  query: URLSearchParams;
}

const LINKS = ["pair", "invite", "watch"];

/** Reads `#/agents/NAME/TAB?question=ID` and `#pair=CODE`. */
export function parse(hash: string): Route {
  const text = hash.replace(/^#/, "");
  const link = /^(\w+)=(.*)$/.exec(text);
  if (link?.[1] && LINKS.includes(link[1])) {
    return { page: link[1], parts: [link[2] ?? ""], query: new URLSearchParams() };
  }
  const [path = "", query = ""] = text.split("?", 2);
  const [page = "", ...parts] = path.split("/").filter(Boolean).map(decode);
  if (page === "agents" && parts.length > 0) return { page: "agent", parts, query: new URLSearchParams(query) };
  return { page: page || "agents", parts, query: new URLSearchParams(query) };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const route = signal<Route>(parse(location.hash));

window.addEventListener("hashchange", () => {
  route.value = parse(location.hash);
});

/** Whether the address brings something that is used before anything else. */
export const brought = (): boolean => LINKS.includes(route.value.page);

/** An address within the app. */
export function to(...parts: string[]): string {
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}

export function go(hash: string, { replace = false } = {}): void {
  if (replace) {
    history.replaceState(null, "", hash);
    route.value = parse(hash);
  } else {
    location.hash = hash;
  }
}
