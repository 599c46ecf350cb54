// Coming in and going out. A cookie that no script can read is the session.

import { call } from "./api/client";
import { deviceName } from "./device";
import { forget } from "./live/store";

export const signIn = (token: string) => call("post /v1/session", { body: { token, device_name: deviceName() } });

export const claimInvitation = (code: string, user: string) =>
  call("post /v1/invitations/claim", { body: { code, device_name: deviceName(), ...(user ? { user } : {}) } });

export const claimPairing = (code: string) => call("post /v1/pairings/claim", { body: { code, device_name: deviceName() } });

/** Whether the other side has confirmed by now. */
export async function redeem(claim: string): Promise<boolean> {
  const answer = await call("post /v1/pairings/redeem", { body: { claim } });
  return answer !== null && "device" in answer;
}

export const openLink = (code: string) => call("post /v1/links/open", { body: { code } });

export async function signOut(): Promise<void> {
  await call("delete /v1/session");
  forget();
}
