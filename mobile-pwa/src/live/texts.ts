// What terminals showed last, to read where there is no network. Forgotten when one signs out.

const PREFIX = "wsm.text.";
/** So many terminals are kept, and so much of each: the newest. */
const TEXTS_MAX = 12;
const TEXT_MAX = 40_000;

interface Kept {
  at: number;
  text: string;
}

export function keptText(agent: string, terminal: string): Kept | undefined {
  try {
    return (JSON.parse(localStorage.getItem(`${PREFIX}${agent} ${terminal}`) ?? "null") as Kept | null) ?? undefined;
  } catch {
    return undefined;
  }
}

export function keepText(agent: string, terminal: string, text: string): void {
  // Cut where a line begins: what was coloured before is not worth keeping.
  const from = text.length > TEXT_MAX ? text.indexOf("\n", text.length - TEXT_MAX) + 1 : 0;
  try {
    localStorage.setItem(`${PREFIX}${agent} ${terminal}`, JSON.stringify({ at: Date.now(), text: text.slice(from) }));
    for (const key of oldest()) localStorage.removeItem(key);
  } catch {
    // No room: what was kept before is older, and says so.
  }
}

/** Those that are too many. */
function oldest(): string[] {
  const all = Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));
  const at = (key: string): number => keptText(...(key.slice(PREFIX.length).split(" ", 2) as [string, string]))?.at ?? 0;
  if (all.length <= TEXTS_MAX) return [];
  return all.sort((a, b) => at(b) - at(a)).slice(TEXTS_MAX);
}
