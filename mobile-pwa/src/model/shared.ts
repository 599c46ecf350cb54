// Text that another app shares.

/** More than this is no message any more. */
const TEXT_MAX = 20_000;

/** One text of three that often say the same. */
export function joined(...parts: ReadonlyArray<string | null>): string {
  const said: string[] = [];
  for (const part of parts.map((it) => (it ?? "").trim()).filter(Boolean)) {
    if (!said.some((before) => before.includes(part))) said.push(part);
  }
  return said.join("\n").slice(0, TEXT_MAX);
}
