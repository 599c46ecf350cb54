// What somebody may do, as far as a page has to know: the daemon decides.

import type { Agent, Share, Whoami } from "../api/api.gen";

const SCOPES = ["view", "approve", "drive", "own", "admin"];
const ROLES = ["viewer", "approver", "driver", "owner"];

type Who = Whoami | null | undefined;

const reaches = (who: Whoami, scope: string) => SCOPES.indexOf(who.scope) >= SCOPES.indexOf(scope);

/** Whether it is theirs: to take, to share, to bring back. */
export function owns(agent: Agent, who: Who): boolean {
  if (!who || !reaches(who, "own")) return false;
  return agent.owner === who.user || (who.role === "admin" && reaches(who, "admin"));
}

/** Whether it is theirs, or shared with them as this or more; `shares` as the daemon tells them. */
export function may(role: "approver" | "driver", agent: Agent, who: Who, shares: readonly Share[] = []): boolean {
  if (!who || !reaches(who, role === "driver" ? "drive" : "approve")) return false;
  if (agent.owner === who.user || who.role === "admin") return true;
  const mine = shares.find((share) => share.user === who.user && !share.expired);
  return mine !== undefined && ROLES.indexOf(mine.role) >= ROLES.indexOf(role);
}

/** Whoever came by a link: sees one agent's screen, and nothing else. */
export const watches = (who: Who): boolean => who?.scope === "watch";

/** Whether this way in is good for agents of one's own. */
export const creates = (who: Who): boolean => Boolean(who && reaches(who, "own") && (who.agents ?? []).length === 0);

export const administers = (who: Who): boolean => Boolean(who && who.role === "admin" && reaches(who, "admin"));
