// Samples as the line of a small chart.

export interface Point {
  /** Milliseconds since 1970. */
  at: number;
  value: number | undefined;
}

/** A line of SVG in a box of this size; a gap where nothing was counted. Newest at the right. */
export function path(points: readonly Point[], max: number, width: number, height: number): string {
  const counted = points.filter((point) => point.value !== undefined);
  const [first, last] = [counted[0]?.at ?? 0, counted[counted.length - 1]?.at ?? 0];
  const span = Math.max(1, last - first);
  let pen = "M";
  let out = "";
  for (const { at, value } of points) {
    if (value === undefined) {
      pen = "M";
      continue;
    }
    const x = ((at - first) / span) * width;
    const y = height - Math.min(1, Math.max(0, value / (max || 1))) * height;
    out += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = "L";
  }
  return out;
}

/** The same, filled down to the bottom; nothing where the line has gaps. */
export function area(points: readonly Point[], max: number, width: number, height: number): string {
  const line = path(points, max, width, height);
  return line === "" || line.lastIndexOf("M") > 0 ? "" : `${line}L${width} ${height}L0 ${height}Z`;
}

export const highest = (points: readonly Point[]): number => Math.max(0, ...points.map((point) => point.value ?? 0));

export const newest = (points: readonly Point[]): number | undefined => points.findLast((point) => point.value !== undefined)?.value;

/** A round figure at or above: the top of a chart. */
export function ceiling(value: number): number {
  if (value <= 0) return 1;
  const scale = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 5, 10].find((step) => value <= step * scale) ?? 10;
  return step * scale;
}
