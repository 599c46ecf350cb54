import { expect, test } from "vitest";
import { area, ceiling, highest, newest, path } from "../src/model/series";

const points = [
  { at: 0, value: 0 },
  { at: 10, value: 50 },
  { at: 20, value: 100 },
];

test("a line from the oldest to the newest", () => {
  expect(path(points, 100, 200, 40)).toBe("M0.0 40.0L100.0 20.0L200.0 0.0");
  expect(area(points, 100, 200, 40)).toMatch(/L200 40L0 40Z$/);
  expect(path([{ at: 1, value: 500 }], 100, 200, 40)).toBe("M0.0 0.0");
  expect(path([], 100, 200, 40)).toBe("");
});

test("what was not counted is a gap, not nothing", () => {
  const gap = [points[0]!, { at: 5, value: undefined }, points[2]!];
  expect(path(gap, 100, 200, 40)).toBe("M0.0 40.0M200.0 0.0");
  expect(area(gap, 100, 200, 40)).toBe("");
  expect(highest(gap)).toBe(100);
  expect(newest([...gap, { at: 30, value: undefined }])).toBe(100);
});

test("the top of a chart is round", () => {
  expect([0, 3, 12, 51, 100].map(ceiling)).toEqual([1, 5, 20, 100, 100]);
});
