// Passkeys, where the browser reads and writes their JSON by itself.

import { call } from "./api/client";
import type { NewPasskey, ShownPasskey } from "./api/api.gen";
import { deviceName } from "./device";

interface Reader {
  parseCreationOptionsFromJSON?: (json: unknown) => PublicKeyCredentialCreationOptions;
  parseRequestOptionsFromJSON?: (json: unknown) => PublicKeyCredentialRequestOptions;
}

const reader = (): Reader | undefined => (window.PublicKeyCredential as Reader | undefined) ?? undefined;

/** A bare address is no name that a passkey could be for. */
export const possible = (): boolean =>
  Boolean(reader()?.parseRequestOptionsFromJSON) && !/^[\d.]+$|^\[/.test(location.hostname);

const json = <T>(credential: Credential | null): T => {
  if (!credential) throw new Error("No passkey was chosen");
  return (credential as PublicKeyCredential).toJSON() as T;
};

export async function logIn(): Promise<void> {
  const options = await call("post /v1/passkeys/login/start", { body: {} });
  const publicKey = reader()?.parseRequestOptionsFromJSON?.(options);
  if (!publicKey) throw new Error("This browser has no passkeys");
  const credential = json<ShownPasskey["credential"]>(await navigator.credentials.get({ publicKey }));
  await call("post /v1/passkeys/login/finish", { body: { credential, device_name: deviceName() } });
}

export async function make(): Promise<void> {
  const options = await call("post /v1/passkeys/register/start");
  const publicKey = reader()?.parseCreationOptionsFromJSON?.(options);
  if (!publicKey) throw new Error("This browser has no passkeys");
  const credential = json<NewPasskey["credential"]>(await navigator.credentials.create({ publicKey }));
  await call("post /v1/passkeys/register/finish", { body: { credential, name: deviceName() } });
}

/** Somebody closed the browser's dialog: nothing to complain of. */
export const givenUp = (error: unknown): boolean => error instanceof DOMException && error.name === "NotAllowedError";
