// Keys for the whole app. In a field or a terminal every key is that one's own.

import { signal } from "@preact/signals";
import { go } from "./route";

export const SHORTCUTS: ReadonlyArray<[string, string]> = [
  ["/", "Search"],
  ["j", "Next agent"],
  ["k", "Agent before"],
  ["Enter", "Open it"],
  ["c", "Write to the agent"],
  ["a", "Agents"],
  ["d", "Desk: terminals side by side"],
  ["v", "Activity"],
  ["s", "Settings"],
  ["Ctrl+Shift+Escape", "Out of a terminal"],
  ["?", "These keys"],
];

export const helping = signal(false);

export function listen(): void {
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && event.ctrlKey && event.shiftKey) {
      leave(event);
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || taken(event.target) || document.querySelector("dialog[open]")) return;
    const act = ACTS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }, true);
}

const taken = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

const ACTS: Record<string, () => void> = {
  "/": () => focus("search"),
  c: () => focus("compose"),
  j: () => move(1),
  k: () => move(-1),
  a: () => go("#/"),
  d: () => go("#/desk"),
  v: () => go("#/activity"),
  s: () => go("#/settings"),
  "?": () => {
    helping.value = true;
  },
};

const focus = (name: string) => document.querySelector<HTMLElement>(`[data-shortcut="${name}"]`)?.focus();

/** The focus goes from agent to agent. */
function move(step: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>(".row, .need-link")];
  const focused = rows.indexOf(document.activeElement as HTMLElement);
  const at = focused >= 0 ? focused : rows.findIndex((row) => row.getAttribute("aria-current") === "page");
  const next = rows[at < 0 ? 0 : (at + step + rows.length) % rows.length];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

/** A terminal takes Tab and Escape: this leads out of it. */
function leave(event: KeyboardEvent): void {
  if (!(event.target instanceof HTMLElement) || !event.target.closest(".term")) return;
  event.preventDefault();
  event.stopPropagation();
  document.querySelector<HTMLElement>('[role="tab"][aria-selected="true"]')?.focus();
}
