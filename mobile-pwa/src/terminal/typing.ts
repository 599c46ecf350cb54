// What is typed, as the bytes that a program expects.

const utf8 = new TextEncoder();

export const bytes = (text: string): Uint8Array => utf8.encode(text);

/** What a field's change means to a program: so many characters deleted, then this typed. */
export interface Edit {
  deletes: number;
  insert: string;
}

/**
 * Keyboards of phones complete and correct what they wrote before. The field's text before and after
 * tells what became of it: everything after the common beginning is deleted and typed anew.
 */
export function edit(before: string, after: string): Edit {
  const [old, now] = [[...before], [...after]];
  let common = 0;
  while (common < old.length && common < now.length && old[common] === now[common]) common += 1;
  return { deletes: old.length - common, insert: now.slice(common).join("") };
}

export function edited({ deletes, insert }: Edit): string {
  return "\x7f".repeat(deletes) + insert.replace(/\r?\n/g, "\r");
}

export type Key = "Escape" | "Tab" | "Enter" | "ArrowUp" | "ArrowDown" | "ArrowLeft" | "ArrowRight" | "Home" | "End" | "PageUp" | "PageDown" | "Backspace";

const ARROWS: Partial<Record<Key, string>> = { ArrowUp: "A", ArrowDown: "B", ArrowRight: "C", ArrowLeft: "D", Home: "H", End: "F" };
const PLAIN: Partial<Record<Key, string>> = {
  Escape: "\x1b",
  Tab: "\t",
  Enter: "\r",
  PageUp: "\x1b[5~",
  PageDown: "\x1b[6~",
  Backspace: "\x7f",
};

export interface Held {
  ctrl?: boolean;
  shift?: boolean;
}

/** A key of the row; `application`: the program asked for the other form of arrows. */
export function key(name: Key, application: boolean, { ctrl = false, shift = false }: Held = {}): string {
  const arrow = ARROWS[name];
  if (arrow) {
    const modifier = 1 + (shift ? 1 : 0) + (ctrl ? 4 : 0);
    if (modifier > 1) return `\x1b[1;${modifier}${arrow}`;
    return application ? `\x1bO${arrow}` : `\x1b[${arrow}`;
  }
  if (name === "Tab" && shift) return "\x1b[Z";
  return PLAIN[name] ?? "";
}

/** A character with Control held; others as they are. */
export function control(char: string): string {
  const code = char.toUpperCase().codePointAt(0) ?? 0;
  if (char === " ") return "\x00";
  if (char === "?") return "\x7f";
  return code >= 0x40 && code <= 0x5f ? String.fromCharCode(code & 0x1f) : char;
}

/** Text at once, in brackets where the program understands them. What could end them is taken out. */
export function paste(text: string, bracketed: boolean): string {
  const lines = text.replace(/\r?\n/g, "\r");
  return bracketed ? `\x1b[200~${lines.replaceAll("\x1b[201~", "")}\x1b[201~` : lines;
}
