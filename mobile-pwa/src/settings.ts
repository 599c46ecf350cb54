// What one likes, on this device.

import { effect, signal } from "@preact/signals";

export interface Settings {
  theme: "auto" | "dark" | "light";
  /** Of terminals, in pixels. */
  font: number;
  /** Terminals tell a screen reader what appears. */
  reader: boolean;
  /** What an agent's page shows first on a phone. */
  first: "terminal" | "text";
}

const KEY = "wsm.settings";
const DEFAULTS: Settings = { theme: "auto", font: 13, reader: false, first: "text" };

function read(): Settings {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Settings>) };
  } catch {
    return DEFAULTS;
  }
}

export const settings = signal<Settings>(read());

export function set(change: Partial<Settings>): void {
  settings.value = { ...settings.value, ...change };
  localStorage.setItem(KEY, JSON.stringify(settings.value));
}

const dark = window.matchMedia("(prefers-color-scheme: dark)");

export const isDark = signal(dark.matches);

effect(() => {
  const { theme } = settings.value;
  const apply = () => {
    isDark.value = theme === "auto" ? dark.matches : theme === "dark";
    document.documentElement.dataset.theme = isDark.value ? "dark" : "light";
    document.querySelector('meta[name="theme-color"]')?.setAttribute("content", isDark.value ? "#0e1116" : "#f6f7f9");
  };
  apply();
  dark.onchange = apply;
});

/** Fingers rather than a mouse. */
export const coarse = window.matchMedia("(pointer: coarse)");
/** Room for the list beside an agent. */
const wideQuery = window.matchMedia("(min-width: 900px)");
export const wide = signal(wideQuery.matches);
wideQuery.onchange = () => {
  wide.value = wideQuery.matches;
};
