// How agents are ordered, grouped and named on the pages.

import type { Agent, State } from "../api/api.gen";

/** What a state means to whoever looks: one of five tones. */
export type Tone = "attention" | "trouble" | "busy" | "ready" | "off";

const TONES: Record<State, Tone> = {
  creating: "busy",
  "setting-up": "busy",
  starting: "busy",
  working: "busy",
  blocked: "attention",
  idle: "ready",
  stopping: "off",
  stopped: "off",
  failed: "trouble",
  paused: "off",
  lost: "trouble",
};

const LABELS: Record<State, string> = {
  creating: "Creating",
  "setting-up": "Setting up",
  starting: "Starting",
  working: "Working",
  blocked: "Needs you",
  idle: "Idle",
  stopping: "Stopping",
  stopped: "Stopped",
  failed: "Failed",
  paused: "Paused",
  lost: "Lost",
};

export const tone = (state: State): Tone => TONES[state] ?? "off";
export const label = (state: State): string => LABELS[state] ?? state;

/** Whether a person has to do something before it goes on. */
export const needsYou = (agent: Agent): boolean => !agent.trashed && (agent.state === "blocked" || tone(agent.state) === "trouble");

/** Where its files lie is the same for all of them: a file is named as in its repository. */
export const within = (agent: Agent, text: string): string => (agent.workspace ? text.replaceAll(`${agent.workspace}/`, "") : text);

/** A name's parts: groups from the outside in, three levels at most. */
export function parts(name: string): string[] {
  const words = name.split("-");
  return words.length <= 3 ? words : [...words.slice(0, 2), words.slice(2).join("-")];
}

/** A colour for a group, the same everywhere and always. */
export function hue(group: string): number {
  let hash = 2166136261;
  for (const char of group) {
    hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 16777619) >>> 0;
  }
  // Red, amber and green are for states; the golden angle keeps the others apart.
  return 175 + Math.round(((hash % 997) * 137.508) % 155);
}

export interface Group {
  /** Empty: those that belong to none. */
  name: string;
  agents: Agent[];
}

export interface Sorted {
  needing: Agent[];
  groups: Group[];
}

const RANK: Record<Tone, number> = { attention: 0, trouble: 1, ready: 2, busy: 3, off: 4 };

/** Those that need somebody first, the rest by group. */
export function sort(agents: Iterable<Agent>, search = ""): Sorted {
  const found = [...agents].filter((agent) => !agent.trashed && matches(agent, search));
  const needing = found.filter(needsYou).sort((a, b) => rank(a) - rank(b) || a.since.localeCompare(b.since));
  const groups = new Map<string, Agent[]>();
  for (const agent of found.filter((agent) => !needsYou(agent))) {
    const group = parts(agent.name)[0] ?? agent.name;
    groups.set(group, [...(groups.get(group) ?? []), agent]);
  }
  const all = [...groups].map(([name, agents]) => ({ name, agents: agents.sort(byName) }));
  const alone = all.filter(isAlone).flatMap((group) => group.agents);
  const named = all.filter((group) => !isAlone(group)).sort((a, b) => a.name.localeCompare(b.name));
  if (alone.length > 0) named.push({ name: "", agents: alone.sort(byName) });
  return { needing, groups: named };
}

/** One agent whose name has one part: a heading would say the same again. */
const isAlone = (group: Group) => group.agents.length === 1 && group.agents[0]?.name === group.name;

const rank = (agent: Agent) => RANK[tone(agent.state)];
const byName = (a: Agent, b: Agent) => a.name.localeCompare(b.name);

/** Whether every word that is looked for is somewhere in what is known of it. */
export function matches(agent: Agent, search: string): boolean {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return true;
  const all = [agent.name, agent.state, label(agent.state), agent.reason, agent.template, agent.kind, agent.owner, agent.branch, agent.repository];
  const text = all.join("\n").toLowerCase();
  return words.every((word) => text.includes(word));
}

export function counts(agents: Iterable<Agent>): Record<Tone, number> {
  const counted: Record<Tone, number> = { attention: 0, trouble: 0, busy: 0, ready: 0, off: 0 };
  for (const agent of agents) if (!agent.trashed) counted[tone(agent.state)] += 1;
  return counted;
}
