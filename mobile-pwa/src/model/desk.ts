// Which terminals stand side by side on the desk.

import type { Agent } from "../api/api.gen";

export interface Place {
  /** An agent's id: names are given again. */
  agent: string;
  terminal: string;
}

/** Each is a connection and a picture of its own. */
export const PLACES_MAX = 9;
/** So many stand there before anybody chose. */
export const FIRST = 4;

const OFF = ["stopped", "failed", "lost", "creating", "stopping"];

export const runs = (agent: Agent): boolean => !agent.trashed && !OFF.includes(agent.state);

export const same = (one: Place, other: Place): boolean => one.agent === other.agent && one.terminal === other.terminal;

/** Where nobody chose: those that need somebody, then those that work. */
export function first(sorted: readonly Agent[]): Place[] {
  return sorted
    .filter(runs)
    .slice(0, FIRST)
    .map((agent) => ({ agent: agent.id, terminal: agent.terminals[0] ?? "main" }));
}

/** What was chosen, as far as it is still there. */
export function standing(chosen: readonly Place[], agents: ReadonlyMap<string, Agent>): Place[] {
  return chosen.filter(({ agent, terminal }) => {
    const found = agents.get(agent);
    return found !== undefined && !found.trashed && (found.terminals.includes(terminal) || !runs(found));
  });
}

export function add(places: readonly Place[], place: Place): Place[] {
  return places.some((it) => same(it, place)) || places.length >= PLACES_MAX ? [...places] : [...places, place];
}

/** Terminals that could be put there. */
export function others(agents: readonly Agent[], places: readonly Place[]): Place[] {
  return agents
    .filter(runs)
    .flatMap((agent) => agent.terminals.map((terminal) => ({ agent: agent.id, terminal })))
    .filter((place) => !places.some((it) => same(it, place)));
}

/** Columns of the grid, so that tiles are wider than they are high. */
export const columns = (count: number): number => (count <= 1 ? 1 : count <= 4 ? 2 : 3);
