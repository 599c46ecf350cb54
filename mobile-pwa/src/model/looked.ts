// Which agent somebody looks at: who left the room with the page open is rung up all the same.

import type { Route } from "../route";

/** How long somebody counts as there after the last key, touch or move. */
export const THERE_MS = 120_000;

/** Name or id of the agent that a page shows to somebody who was there `away` milliseconds ago. */
export function lookedAt({ page, parts }: Pick<Route, "page" | "parts">, visible: boolean, away: number): string | null {
  return visible && away < THERE_MS && page === "agent" ? (parts[0] ?? null) : null;
}
