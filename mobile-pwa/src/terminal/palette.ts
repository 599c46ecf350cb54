// Colours of terminals.

import type { ITheme } from "@xterm/xterm";
import type { Sheet } from "./ansi";

const DARK: ITheme = {
  background: "#0b0e13",
  foreground: "#dfe4ea",
  cursor: "#85aaff",
  cursorAccent: "#0b0e13",
  selectionBackground: "#33486e",
  black: "#1d232c",
  red: "#ff8593",
  green: "#7fd6a4",
  yellow: "#f3c872",
  blue: "#85aaff",
  magenta: "#cf9df5",
  cyan: "#74cfe0",
  white: "#c9d1da",
  brightBlack: "#7b8696",
  brightRed: "#ffa3ad",
  brightGreen: "#9ae6bb",
  brightYellow: "#ffdd99",
  brightBlue: "#a9c3ff",
  brightMagenta: "#e0bcff",
  brightCyan: "#9be3f0",
  brightWhite: "#ffffff",
};

const LIGHT: ITheme = {
  background: "#fcfcfd",
  foreground: "#1d2430",
  cursor: "#2457c5",
  cursorAccent: "#fcfcfd",
  selectionBackground: "#bcd0f7",
  black: "#1d2430",
  red: "#b3203a",
  green: "#17693a",
  yellow: "#8a5200",
  blue: "#2457c5",
  magenta: "#7b3fb0",
  cyan: "#0d6a7a",
  white: "#5a6573",
  brightBlack: "#616c7b",
  brightRed: "#cc3a52",
  brightGreen: "#23814a",
  brightYellow: "#a36409",
  brightBlue: "#3f6fd8",
  brightMagenta: "#9258c7",
  brightCyan: "#1c8193",
  brightWhite: "#2a3240",
};

export const palette = (dark: boolean): ITheme => (dark ? DARK : LIGHT);

const SHEETS = [LIGHT, DARK].map((of) => ({ ink: String(of.foreground), paper: String(of.background) }));

/** Where a program chose no colour. */
export const sheet = (dark: boolean): Sheet => SHEETS[dark ? 1 : 0] ?? { ink: "", paper: "" };

/** The first 16 colours, for the text view. */
export function sixteen(dark: boolean): string[] {
  const of = palette(dark);
  const names = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"] as const;
  const bright = names.map((name) => of[`bright${name.charAt(0).toUpperCase()}${name.slice(1)}` as keyof ITheme]);
  return [...names.map((name) => of[name]), ...bright].map(String);
}
