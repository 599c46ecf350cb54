// A screen with colours (`capture?styled=true`: text and SGR) as pieces of text for a document.

import { readable } from "./contrast";

export interface Style {
  fg?: string;
  bg?: string;
  bold?: boolean;
  dim?: boolean;
  italic?: boolean;
  underline?: boolean;
  strike?: boolean;
  inverse?: boolean;
}

export interface Piece {
  text: string;
  style: Style;
}

/** Lines of pieces. What is no SGR is left out. */
export function lines(text: string, palette: readonly string[]): Piece[][] {
  const out: Piece[][] = [[]];
  let style: Style = {};
  // eslint-disable-next-line no-control-regex
  for (const part of text.split(/(\x1b\[[0-9;:]*[A-Za-z]|\n)/)) {
    if (part === "") continue;
    if (part === "\n") out.push([]);
    else if (part.startsWith("\x1b")) style = part.endsWith("m") ? sgr(style, part.slice(2, -1), palette) : style;
    else out[out.length - 1]?.push({ text: part, style });
  }
  while (out.length > 1 && out[out.length - 1]?.every((piece) => piece.text.trim() === "")) out.pop();
  return out;
}

function sgr(before: Style, parameters: string, palette: readonly string[]): Style {
  const codes = parameters.split(/[;:]/).map(Number);
  let style = { ...before };
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at] ?? 0;
    if (code === 38 || code === 48) {
      const { color, taken } = extended(codes.slice(at + 1), palette);
      style = change(style, code === 38 ? "fg" : "bg", color);
      at += taken;
    } else {
      style = simple(style, code, palette);
    }
  }
  return style;
}

function extended(rest: readonly number[], palette: readonly string[]): { color: string | undefined; taken: number } {
  if (rest[0] === 5) return { color: indexed(rest[1] ?? 0, palette), taken: 2 };
  if (rest[0] === 2) return { color: `rgb(${rest[1] ?? 0} ${rest[2] ?? 0} ${rest[3] ?? 0})`, taken: 4 };
  return { color: undefined, taken: 0 };
}

const LEVELS = [0, 95, 135, 175, 215, 255];

export function indexed(index: number, palette: readonly string[]): string {
  if (index < 16) return palette[index] ?? "";
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return `rgb(${grey} ${grey} ${grey})`;
  }
  const cube = index - 16;
  const level = (of: number) => LEVELS[of % 6] ?? 0;
  return `rgb(${level(Math.floor(cube / 36))} ${level(Math.floor(cube / 6))} ${level(cube)})`;
}

type Switch = "bold" | "dim" | "italic" | "underline" | "strike" | "inverse";
const ON: Record<number, Switch> = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike" };
const OFF: Record<number, Switch[]> = { 22: ["bold", "dim"], 23: ["italic"], 24: ["underline"], 27: ["inverse"], 29: ["strike"] };

function simple(style: Style, code: number, palette: readonly string[]): Style {
  if (code === 0) return {};
  const on = ON[code];
  if (on) return { ...style, [on]: true };
  const off = OFF[code];
  if (off) return off.reduce<Style>((rest, name) => without(rest, name), style);
  if (code >= 30 && code <= 37) return change(style, "fg", palette[code - 30]);
  if (code >= 90 && code <= 97) return change(style, "fg", palette[code - 82]);
  if (code >= 40 && code <= 47) return change(style, "bg", palette[code - 40]);
  if (code >= 100 && code <= 107) return change(style, "bg", palette[code - 92]);
  if (code === 39) return without(style, "fg");
  if (code === 49) return without(style, "bg");
  return style;
}

function change(style: Style, name: "fg" | "bg", color: string | undefined): Style {
  return color ? { ...style, [name]: color } : without(style, name);
}

function without(style: Style, name: keyof Style): Style {
  const rest = { ...style };
  delete rest[name];
  return rest;
}

/** Colours where a program chose none. */
export interface Sheet {
  ink: string;
  paper: string;
}

/** As a document shows it. */
export function css(style: Style, { ink, paper }: Sheet): Record<string, string> {
  const { fg, bg } = style.inverse ? { fg: style.bg ?? paper, bg: style.fg ?? ink } : style;
  const decoration = [style.underline && "underline", style.strike && "line-through"].filter(Boolean).join(" ");
  return {
    ...(fg || bg ? { color: readable(fg ?? ink, bg ?? paper) } : {}),
    ...(bg ? { background: bg } : {}),
    ...(style.bold ? { "font-weight": "650" } : {}),
    ...(style.dim ? { opacity: "0.8" } : {}),
    ...(style.italic ? { "font-style": "italic" } : {}),
    ...(decoration ? { "text-decoration": decoration } : {}),
  };
}

export const isPlain = (style: Style): boolean => Object.keys(style).length === 0;
