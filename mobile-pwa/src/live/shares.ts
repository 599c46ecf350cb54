// With whom agents are shared, asked once for each that is looked at and not one's own.

import { signal } from "@preact/signals";
import type { Agent, Share } from "../api/api.gen";
import { call } from "../api/client";
import { may, watches } from "../model/rights";
import { who } from "./store";

const known = signal<ReadonlyMap<string, Share[]>>(new Map());
const asked = new Set<string>();

function shares(agent: Agent): Share[] {
  const found = known.value.get(agent.id);
  if (!found && !asked.has(agent.id)) void learnShares(agent).catch(() => undefined);
  return found ?? [];
}

/** Asks again: something was changed. */
export async function learnShares(agent: Agent): Promise<Share[]> {
  asked.add(agent.id);
  try {
    const told = await call("get /v1/agents/{agent}/shares", { path: { agent: agent.id } });
    known.value = new Map(known.value).set(agent.id, told);
    return told;
  } catch (error) {
    asked.delete(agent.id);
    throw error;
  }
}

/** Whether whoever is signed in may type, run and stop. */
export const drives = (agent: Agent): boolean => allowed("driver", agent);

/** Whether they may answer its questions. */
export const approves = (agent: Agent): boolean => allowed("approver", agent);

function allowed(role: "driver" | "approver", agent: Agent): boolean {
  const me = who.value;
  if (may(role, agent, me)) return true;
  return me?.user !== agent.owner && !watches(me) && may(role, agent, me, shares(agent));
}
