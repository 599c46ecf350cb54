// The service worker: the shell without a network, and notifications.

/// <reference lib="webworker" />

import { type Told, read } from "./told";

declare const self: ServiceWorkerGlobalScope;
/** Put in by vite.worker.ts: every file of this version, and its name. */
declare const FILES: string[];
declare const VERSION: string;

const CACHE = `wsm-${VERSION}`;
const SHELL = "/";

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll([SHELL, ...FILES].map((url) => new Request(url, { cache: "reload" })))));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      const names = await caches.keys();
      await Promise.all(names.filter((name) => name.startsWith("wsm-") && name !== CACHE).map((name) => caches.delete(name)));
      await self.clients.claim();
    })(),
  );
});

/** A page asks for the new version: only pages know whether they can be loaded anew. */
self.addEventListener("message", (event) => {
  if (event.data === "activate") void self.skipWaiting();
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin || !ours(url.pathname, request.mode)) return;
  event.respondWith(answer(request));
});

/** The shell and its files; never an answer of the API, nor a preview. */
const ours = (path: string, mode: RequestMode): boolean =>
  (mode === "navigate" && path === SHELL) || FILES.includes(path);

async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request.mode === "navigate" ? SHELL : request, { ignoreSearch: request.mode === "navigate" });
  return kept ?? fetch(request);
}

self.addEventListener("push", (event) => {
  event.waitUntil(show(read(event.data?.text())));
});

async function show(told: Told): Promise<void> {
  const { title, ...options } = told.notification;
  await self.registration.showNotification(title, { icon: "/icon-192.png", badge: "/badge-96.png", ...options } as NotificationOptions);
  await badge(told.badge);
}

async function badge(count: number | undefined): Promise<void> {
  const navigator = self.navigator as { setAppBadge?: (count: number) => Promise<void> };
  if (count !== undefined) await navigator.setAppBadge?.(count).catch(() => undefined);
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const data = (event.notification.data ?? {}) as Partial<Told["notification"]["data"]>;
  event.waitUntil(act(event.action, data));
});

/**
 * An answer is given from here, a yes only to what was shown whole. Else, and where that fails, the page
 * opens at the right place, where the answer is given.
 */
async function act(action: string, data: Partial<Told["notification"]["data"]>): Promise<void> {
  const place = data.navigate ?? "/#/";
  const answers = action === "deny" || action === "approve";
  if (!answers || !data.agent || !data.question) return open(place);
  if ((action === "deny" || data.whole) && (await respond(action, data.agent, data.question))) return;
  await open(`${place}&answer=${action}`);
}

async function respond(action: "approve" | "deny", agent: string, question: string): Promise<boolean> {
  try {
    const response = await fetch(`/v1/agents/${encodeURIComponent(agent)}/${action}`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-wsm": "1" },
      body: JSON.stringify({ question }),
    });
    return response.ok;
  } catch {
    return false;
  }
}

async function open(place: string): Promise<void> {
  const url = new URL(place, self.location.origin);
  if (url.origin !== self.location.origin) url.href = self.location.origin;
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const found = windows.find((client) => new URL(client.url).pathname === SHELL);
  if (!found) {
    await self.clients.openWindow(url.href);
    return;
  }
  found.postMessage({ go: url.hash || "#/" });
  await found.focus();
}

self.addEventListener("pushsubscriptionchange", (event) => {
  // The pages enrol again, with the key of today: they know who is signed in.
  (event as ExtendableEvent).waitUntil(
    self.clients.matchAll({ type: "window" }).then((all) => all.forEach((client) => client.postMessage({ enrol: true }))),
  );
});
