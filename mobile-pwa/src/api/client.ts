// Calls of the API, typed by its own description.

import type { Problem, Routes } from "./api.gen";

type Query<K extends keyof Routes> = Routes[K] extends { query: infer Q } ? { query?: Q } : unknown;
type Body<K extends keyof Routes> = Routes[K] extends { body: infer B } ? { body: B } : unknown;
type Answer<K extends keyof Routes> = Routes[K]["answer"];

type Names<P extends string> = P extends `${string}{${infer N}}${infer R}` ? N | Names<R> : never;
type Path<K extends string> = [Names<K>] extends [never] ? unknown : { path: Record<Names<K>, string> };

export type Options<K extends keyof Routes> = Query<K> & Body<K> & Path<K> & { signal?: AbortSignal };

/** Why a call did not do what it should: the daemon's words, or that it could not be reached. */
export class Refusal extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code: Problem["code"] | "unreachable",
    readonly hint = "",
    readonly details: string[] = [],
  ) {
    super(message);
  }

  get unreachable(): boolean {
    return this.code === "unreachable";
  }
}

/** Told when an answer says that nobody is signed in any more. */
export const onUnknown: { call: () => void } = { call: () => undefined };

/** How long an answer may take: what works for longer has a way to ask again. */
const PATIENCE_MS = 30_000;

export async function call<K extends keyof Routes>(
  route: K,
  ...rest: unknown extends Path<K> & Body<K> ? [Options<K>?] : [Options<K>]
): Promise<Answer<K>> {
  const response = await ask(route, rest[0]);
  const text = await response.text();
  return (text === "" ? null : JSON.parse(text)) as Answer<K>;
}

/** The same for an answer that is no JSON. */
export async function bytes<K extends keyof Routes>(route: K, options: Options<K>): Promise<ArrayBuffer> {
  return (await ask(route, options)).arrayBuffer();
}

interface Loose {
  path?: Record<string, string>;
  query?: Record<string, unknown>;
  body?: unknown;
  signal?: AbortSignal;
}

async function ask(route: string, loose: unknown): Promise<Response> {
  const options = (loose ?? {}) as Loose;
  const [method = "get", path = ""] = route.split(" ");
  const headers: Record<string, string> = { accept: "application/json" };
  // A form of another site can't send this one.
  if (method !== "get") headers["x-wsm"] = "1";
  if (options.body !== undefined) headers["content-type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(address(path, options), {
      method: method.toUpperCase(),
      headers,
      body: options.body === undefined ? null : JSON.stringify(options.body),
      signal: options.signal ?? AbortSignal.timeout(PATIENCE_MS),
      cache: "no-store",
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Refusal("wsm can't be reached", 0, "unreachable");
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

export function address(path: string, { path: names = {}, query = {} }: Loose = {}): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(names[name] ?? ""));
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null) asked.set(name, String(value));
  }
  return asked.size > 0 ? `${filled}?${asked}` : filled;
}

async function refusal(response: Response): Promise<Refusal> {
  const { status } = response;
  if (status === 401) onUnknown.call();
  try {
    const problem = (await response.json()) as Problem;
    return new Refusal(problem.message, status, problem.code, problem.hint, problem.details);
  } catch {
    const gone = status === 502 || status === 503 || status === 504;
    return new Refusal(gone ? "wsm can't be reached" : `the answer was ${status}`, status, gone ? "unreachable" : "failed");
  }
}

/** Any failure in words for people. */
export function words(error: unknown): string {
  if (error instanceof Refusal) {
    const more = error.details.length > 0 ? ` (${error.details.join("; ")})` : "";
    return `${sentence(error.message)}${more}${error.hint ? `. ${sentence(error.hint)}` : ""}`;
  }
  return error instanceof Error ? error.message : String(error);
}

const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
