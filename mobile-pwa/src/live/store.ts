// What the pages show: agents and journal as the feed tells them, and whether it does.

import { batch, computed, signal } from "@preact/signals";
import type { Agent, Event as Row, Whoami } from "../api/api.gen";
import { Refusal, address, call, onUnknown } from "../api/client";
import { needsYou } from "../model/agents";
import { watches } from "../model/rights";
import * as kept from "./kept";
import { type Known, type Message, journal, reduce } from "./reduce";

/** `live`: what is shown is so now. */
export type Way = "starting" | "live" | "reconnecting" | "offline";

/** Who is signed in; `null`: nobody; `undefined`: not known yet. */
export const who = signal<Whoami | null | undefined>(undefined);
/** A session ended by itself, and what was shown stays until somebody signs in. */
export const expired = signal(false);
export const known = signal<Known>(new Map());
export const rows = signal<readonly Row[]>([]);
export const way = signal<Way>("starting");
/** When the feed spoke last. */
export const seenAt = signal(0);
/** The time, to the half minute: for "4m ago". */
export const now = signal(Date.now());

export const agents = computed(() => [...known.value.values()]);
export const needing = computed(() => agents.value.filter(needsYou).length);

export const agentNamed = (name: string): Agent | undefined =>
  agents.value.find((agent) => agent.name === name || agent.id === name);

window.setInterval(() => {
  now.value = Date.now();
}, 30_000);

/** After a silence this long wsm is asked whether it is there: heartbeats are not told to a page. */
const QUIET_MS = 25_000;
/** A hidden page lets go of its feed: a browser has six connections for all of its tabs. */
const HIDDEN_MS = 20_000;
const WATCH_MS = 3_000;
const BACKOFF_MS = [500, 1000, 2000, 4000, 8000, 15_000];

let feed: EventSource | undefined;
let timer = 0;
let tries = 0;
let heard = 0;
let last = "";

/** Shows what is kept, finds out who one is, and listens. */
export async function begin(): Promise<void> {
  const before = kept.read();
  if (before) {
    batch(() => {
      known.value = reduce(known.value, { type: "agents", agents: before.agents });
      seenAt.value = before.at;
      who.value = before.who;
    });
  }
  onUnknown.call = signedOut;
  window.addEventListener("online", hurry);
  window.addEventListener("offline", () => lost());
  window.addEventListener("pageshow", hurry);
  document.addEventListener("visibilitychange", seen);
  window.setInterval(() => void check(), 5_000);
  await enter();
}

/** Asks who one is, and listens if one is somebody. */
export async function enter(): Promise<void> {
  try {
    const told = await call("get /v1/whoami");
    batch(() => {
      who.value = told;
      expired.value = false;
    });
    listen();
  } catch (error) {
    if (error instanceof Refusal && error.unreachable) {
      if (who.value === undefined) who.value = null;
      lost();
    } else if (who.value === undefined) {
      who.value = null;
    }
  }
}

function signedOut(): void {
  feed?.close();
  feed = undefined;
  window.clearTimeout(timer);
  batch(() => {
    expired.value = who.value !== null && who.value !== undefined;
    if (!expired.value) who.value = null;
  });
}

/** Forgets everything of whoever was here. */
export function forget(): void {
  feed?.close();
  feed = undefined;
  kept.clear();
  batch(() => {
    known.value = new Map();
    rows.value = [];
    who.value = null;
    expired.value = false;
    last = "";
  });
}

/** Who watches by a link is told nothing of the journal: the one agent is asked for. */
async function watch(): Promise<void> {
  window.clearTimeout(timer);
  try {
    take({ type: "agents", agents: await call("get /v1/agents") });
    timer = window.setTimeout(() => void watch(), WATCH_MS);
  } catch (error) {
    if (error instanceof Refusal && error.unreachable) lost();
  }
}

function listen(): void {
  feed?.close();
  window.clearTimeout(timer);
  if (watches(who.peek())) {
    void watch();
    return;
  }
  const source = new EventSource(address("/v1/feed", { query: { after: last || undefined } }));
  feed = source;
  heard = Date.now();
  source.onopen = () => {
    tries = 0;
  };
  source.onerror = () => {
    if (feed === source) lost();
  };
  const on = (name: string, act: (data: string) => void) =>
    source.addEventListener(name, (event: MessageEvent<string>) => {
      heard = Date.now();
      if (event.lastEventId) last = event.lastEventId;
      act(event.data);
    });
  on("agents", (data) => take({ type: "agents", agents: JSON.parse(data) as Agent[] }));
  on("agent", (data) => take({ type: "agent", agent: JSON.parse(data) as Agent }));
  on("gone", (data) => take({ type: "gone", id: (JSON.parse(data) as { id: string }).id }));
  on("journal", (data) => take({ type: "journal", row: JSON.parse(data) as Row }));
}

function take(message: Message): void {
  batch(() => {
    known.value = reduce(known.value, message);
    if (message.type === "journal") rows.value = journal(rows.value, message.row);
    way.value = "live";
    seenAt.value = Date.now();
  });
  if (message.type !== "journal" && who.value && !watches(who.value)) kept.write({ at: seenAt.value, agents: agents.value, who: who.value });
}

/** Applies what a call answered, before the feed tells it. */
export const learn = (agent: Agent): void => take({ type: "agent", agent });

function lost(): void {
  feed?.close();
  feed = undefined;
  way.value = navigator.onLine ? "reconnecting" : "offline";
  window.clearTimeout(timer);
  const pause = BACKOFF_MS[Math.min(tries, BACKOFF_MS.length - 1)] ?? 0;
  tries += 1;
  timer = window.setTimeout(() => void again(), pause);
}

/** The feed does not say why it was refused: a call does. */
async function again(): Promise<void> {
  if (expired.value || who.value === null) return;
  await enter();
}

function hurry(): void {
  if (feed && feed.readyState !== EventSource.CLOSED) return;
  tries = 0;
  window.clearTimeout(timer);
  void again();
}

/** A phone that slept has connections that it believes in. */
async function check(): Promise<void> {
  if (!feed || document.visibilityState !== "visible" || Date.now() - heard < QUIET_MS) return;
  heard = Date.now();
  try {
    await call("get /v1/whoami", { signal: AbortSignal.timeout(8_000) });
  } catch {
    if (!expired.value) lost();
  }
}

let hiding = 0;

function seen(): void {
  window.clearTimeout(hiding);
  if (document.visibilityState === "visible") {
    hurry();
    return;
  }
  hiding = window.setTimeout(() => {
    feed?.close();
    feed = undefined;
  }, HIDDEN_MS);
}
