// Colours that a program chose for another background, moved until they can be read on this one.

type Rgb = readonly [number, number, number];

/** What WCAG asks for text. */
const RATIO = 4.5;
const STEPS = 12;

/** `#rrggbb` or `rgb(r g b)`. */
export function parse(color: string): Rgb | undefined {
  const hex = /^#([\da-f]{2})([\da-f]{2})([\da-f]{2})$/i.exec(color);
  if (hex) return [1, 2, 3].map((at) => parseInt(hex[at] ?? "0", 16)) as unknown as Rgb;
  const plain = /^rgb\((\d+) (\d+) (\d+)\)$/.exec(color);
  return plain ? ([1, 2, 3].map((at) => Math.min(255, Number(plain[at]))) as unknown as Rgb) : undefined;
}

function luminance(color: Rgb): number {
  const [r = 0, g = 0, b = 0] = color.map((part) => {
    const share = part / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

export function contrast(one: Rgb, other: Rgb): number {
  const [high = 0, low = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}

const kept = new Map<string, string>();
/** Programs have few colours; one that makes many does not fill the memory. */
const KEPT_MAX = 2_000;

/** The colour itself if it can be read on this ground, else the nearest on its way to black or white that can. */
export function readable(color: string, ground: string): string {
  const key = `${color} ${ground}`;
  const known = kept.get(key);
  if (known) return known;
  if (kept.size >= KEPT_MAX) kept.clear();
  const found = moved(color, ground);
  kept.set(key, found);
  return found;
}

function moved(color: string, ground: string): string {
  const [ink, paper] = [parse(color), parse(ground)];
  if (!ink || !paper || contrast(ink, paper) >= RATIO) return color;
  const end = contrast([0, 0, 0], paper) > contrast([255, 255, 255], paper) ? 0 : 255;
  for (let step = 1; step <= STEPS; step += 1) {
    const mixed = ink.map((part) => Math.round(part + ((end - part) * step) / STEPS)) as unknown as Rgb;
    if (contrast(mixed, paper) >= RATIO) return `rgb(${mixed.join(" ")})`;
  }
  return `rgb(${end} ${end} ${end})`;
}
