// Notifications on this device.

import { signal } from "@preact/signals";
import { call } from "./api/client";
import { deviceName } from "./device";

export type Reach = "unknown" | "impossible" | "install" | "denied" | "off" | "on";

/** How far this device is from being rung up. */
export const reach = signal<Reach>("unknown");

const installed = () => window.matchMedia("(display-mode: standalone)").matches;
const apple = () => /iPhone|iPad/.test(navigator.userAgent);

export async function look(): Promise<void> {
  if (!("serviceWorker" in navigator) || !("PushManager" in window) || !("Notification" in window)) {
    // iOS has it for apps on the home screen alone.
    reach.value = apple() && !installed() ? "install" : "impossible";
    return;
  }
  if (Notification.permission === "denied") {
    reach.value = "denied";
    return;
  }
  const registration = await navigator.serviceWorker.getRegistration();
  reach.value = (await registration?.pushManager.getSubscription()) ? "on" : "off";
}

/** Asks the browser, then tells wsm where to ring. */
export async function enrol(): Promise<void> {
  const permission = await Notification.requestPermission();
  if (permission !== "granted") {
    await look();
    throw new Error("The browser does not allow notifications from this page");
  }
  const registration = await navigator.serviceWorker.ready;
  const { key } = await call("get /v1/push/key");
  const applicationServerKey = bytes(key);
  const before = await registration.pushManager.getSubscription();
  // One that was made for another key rings nowhere.
  if (before && !same(before.options.applicationServerKey, applicationServerKey)) await before.unsubscribe();
  const subscription = await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey });
  const { endpoint, keys } = subscription.toJSON();
  if (!endpoint || !keys?.p256dh || !keys.auth) throw new Error("The browser's subscription is not whole");
  await call("post /v1/push/subscriptions", {
    body: { endpoint, keys: { p256dh: keys.p256dh, auth: keys.auth }, label: deviceName(), page: `${location.origin}/` },
  });
  reach.value = "on";
}

export async function leave(): Promise<void> {
  const registration = await navigator.serviceWorker.getRegistration();
  const subscription = await registration?.pushManager.getSubscription();
  await subscription?.unsubscribe();
  reach.value = "off";
}

export function bytes(base64url: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  const out = new Uint8Array(new ArrayBuffer(text.length));
  for (let at = 0; at < text.length; at += 1) out[at] = text.charCodeAt(at);
  return out;
}

function same(left: ArrayBuffer | null, right: Uint8Array): boolean {
  if (!left || left.byteLength !== right.length) return false;
  const view = new Uint8Array(left);
  return right.every((byte, at) => byte === view[at]);
}
