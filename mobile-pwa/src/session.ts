// Coming in and going out.

import { Refusal } from "./api/client";
import type { Problem } from "./api/api.gen";
import { forget } from "./live/store";

async function session(method: string, body?: unknown): Promise<void> {
  let response: Response;
  try {
    response = await fetch("/v1/session", {
      method,
      headers: { "x-wsm": "1", "content-type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
    });
  } catch {
    throw new Refusal("wsm can't be reached", 0, "unreachable");
  }
  if (response.ok) return;
  const problem = (await response.json().catch(() => undefined)) as Problem | undefined;
  throw new Refusal(problem?.message ?? `the answer was ${response.status}`, response.status, problem?.code ?? "failed", problem?.hint);
}

/** The token is exchanged for a cookie that no script can read. */
export const signIn = (token: string): Promise<void> => session("POST", { token });

export async function signOut(): Promise<void> {
  await session("DELETE");
  forget();
}
