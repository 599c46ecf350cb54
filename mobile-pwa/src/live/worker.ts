// The service worker: registered when the page has nothing better to do, and never changed under it.

import { signal } from "@preact/signals";
import { go } from "../route";

/** A newer version waits for this page to be loaded anew. */
export const newer = signal<ServiceWorker | undefined>(undefined);

const LOOK_MS = 60 * 60 * 1000;

export function register(): void {
  if (!("serviceWorker" in navigator) || !import.meta.env.PROD) return;
  navigator.serviceWorker.addEventListener("message", (event: MessageEvent<{ go?: string }>) => {
    if (event.data.go?.startsWith("#/")) go(event.data.go);
  });
  const idle = window.requestIdleCallback ?? ((act: () => void) => window.setTimeout(act, 1_500));
  const begin = () => idle(() => void watch());
  if (document.readyState === "complete") begin();
  else window.addEventListener("load", begin);
}

async function watch(): Promise<void> {
  try {
    const registration = await navigator.serviceWorker.register("/sw.js", { updateViaCache: "none", type: "module" });
    const look = () => {
      // The first one ever replaces nothing.
      if (registration.waiting && navigator.serviceWorker.controller) newer.value = registration.waiting;
    };
    look();
    registration.addEventListener("updatefound", () => registration.installing?.addEventListener("statechange", look));
    window.setInterval(() => void registration.update().catch(() => undefined), LOOK_MS);
  } catch {
    // Without one there is no shell offline; all else is the same.
  }
}

/** Loads the page anew, with the version that waits. */
export function renew(): void {
  navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
  newer.peek()?.postMessage("activate");
}
