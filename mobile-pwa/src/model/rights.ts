// What somebody may do, as far as a page has to know: the daemon decides.

import type { Agent, Whoami } from "../api/api.gen";

const SCOPES = ["view", "approve", "drive", "own", "admin"];

const reaches = (who: Whoami, scope: string) => SCOPES.indexOf(who.scope) >= SCOPES.indexOf(scope);

/** Whether it is theirs: to take, to share, to bring back. */
export function owns(agent: Agent, who: Whoami | null | undefined): boolean {
  if (!who || !reaches(who, "own")) return false;
  return agent.owner === who.user || (who.role === "admin" && reaches(who, "admin"));
}

/** Whether this way in is good for typing anywhere. */
export const types = (who: Whoami | null | undefined): boolean => Boolean(who && reaches(who, "drive"));

/** Whether it is good for answering questions. */
export const approves = (who: Whoami | null | undefined): boolean => Boolean(who && reaches(who, "approve"));

export const administers = (who: Whoami | null | undefined): boolean =>
  Boolean(who && who.role === "admin" && reaches(who, "admin"));
