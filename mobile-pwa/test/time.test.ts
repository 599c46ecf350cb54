import { expect, test } from "vitest";
import { ago, length, since, size } from "../src/model/time";

test("how long ago", () => {
  const now = Date.parse("2026-01-02T12:00:00Z");
  const then = (seconds: number) => new Date(now - seconds * 1000).toISOString();
  expect(ago(then(3), now)).toBe("now");
  expect(ago(then(59), now)).toBe("59s");
  expect(ago(then(61), now)).toBe("1m");
  expect(ago(then(7200), now)).toBe("2h");
  expect(ago(then(200_000), now)).toBe("2d");
  expect(ago(then(-100), now)).toBe("now");
  expect(since(then(3), now)).toBe("just now");
  expect(since("never", now)).toBe("");
});

test("lengths and sizes", () => {
  expect(length(65_000)).toBe("1:05");
  expect(length(3_725_000)).toBe("1:02:05");
  expect(size(999)).toBe("999 B");
  expect(size(1_500)).toBe("1.5 KB");
  expect(size(123_456_789)).toBe("123 MB");
});
