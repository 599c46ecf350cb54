// What is known of all agents, as messages of the feed change it.

import type { Agent, Event } from "../api/api.gen";

export type Known = ReadonlyMap<string, Agent>;

export type Message =
  | { type: "agents"; agents: Agent[] }
  | { type: "agent"; agent: Agent }
  | { type: "gone"; id: string }
  | { type: "journal"; row: Event };

/** Agents by id after this message. */
export function reduce(known: Known, message: Message): Known {
  switch (message.type) {
    case "agents":
      return new Map(message.agents.map((agent) => [agent.id, same(known.get(agent.id), agent)]));
    case "agent": {
      const kept = same(known.get(message.agent.id), message.agent);
      if (kept === known.get(message.agent.id)) return known;
      return new Map(known).set(kept.id, kept);
    }
    case "gone": {
      if (!known.has(message.id)) return known;
      const rest = new Map(known);
      rest.delete(message.id);
      return rest;
    }
    case "journal":
      return known;
  }
}

/** The one that is there if nothing changed, so that nothing is drawn anew. */
function same(before: Agent | undefined, after: Agent): Agent {
  return before && JSON.stringify(before) === JSON.stringify(after) ? before : after;
}

/** Rows of the journal, the newest first; so many are kept. */
export const ROWS_KEPT = 200;

export function journal(rows: readonly Event[], row: Event): readonly Event[] {
  if (rows.some((known) => known.seq === row.seq)) return rows;
  return [row, ...rows].sort((a, b) => b.seq - a.seq).slice(0, ROWS_KEPT);
}
