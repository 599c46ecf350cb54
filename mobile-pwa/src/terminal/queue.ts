// Messages that wait for their time: until the agent is idle, or until wsm can be reached again.

import type { State } from "../api/api.gen";

export interface Waiting {
  id: string;
  text: string;
  /** `idle`: when the agent is; `soon`: when wsm is there; `unsure`: it may have arrived, a person says. */
  when: "idle" | "soon" | "unsure";
}

export const WAITING_MAX = 50;

/** What shall go out now, if anything: in order, and one for each time that the agent is idle (`fresh`). */
export function next(queue: readonly Waiting[], state: State, reachable: boolean, fresh = true): Waiting | undefined {
  const first = queue[0];
  if (!first || !reachable) return undefined;
  if (first.when === "soon") return first;
  return first.when === "idle" && state === "idle" && fresh ? first : undefined;
}

export function add(queue: readonly Waiting[], text: string, when: Waiting["when"]): Waiting[] {
  const id = crypto.randomUUID?.() ?? String(Math.random());
  return [...queue, { id, text, when }].slice(0, WAITING_MAX);
}

export const without = (queue: readonly Waiting[], id: string): Waiting[] => queue.filter((it) => it.id !== id);

export const marked = (queue: readonly Waiting[], id: string, when: Waiting["when"]): Waiting[] =>
  queue.map((it) => (it.id === id ? { ...it, when } : it));

const key = (agent: string) => `wsm.queue.${agent}`;

export function read(agent: string): Waiting[] {
  try {
    const found = JSON.parse(localStorage.getItem(key(agent)) ?? "[]") as Waiting[];
    return Array.isArray(found) ? found.slice(0, WAITING_MAX) : [];
  } catch {
    return [];
  }
}

export function write(agent: string, queue: readonly Waiting[]): void {
  if (queue.length === 0) localStorage.removeItem(key(agent));
  else localStorage.setItem(key(agent), JSON.stringify(queue));
}
