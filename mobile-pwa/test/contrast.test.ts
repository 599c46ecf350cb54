import { expect, test } from "vitest";
import { contrast, parse, readable } from "../src/terminal/contrast";

const on = (color: string, ground: string) => contrast(parse(readable(color, ground)) ?? [0, 0, 0], parse(ground) ?? [0, 0, 0]);

test("what can be read stays as it is", () => {
  expect(readable("#17693a", "#fcfcfd")).toBe("#17693a");
  expect(readable("rgb(248 248 242)", "#0b0e13")).toBe("rgb(248 248 242)");
  expect(readable("var(--text)", "#0b0e13")).toBe("var(--text)");
});

test("white on white, yellow on white and black on black are moved until they can be read", () => {
  for (const [color, ground] of [
    ["rgb(248 248 242)", "#fcfcfd"],
    ["rgb(166 226 46)", "#fcfcfd"],
    ["rgb(0 0 0)", "#0b0e13"],
    ["#7b8696", "rgb(120 130 140)"],
  ] as const) {
    expect(on(color, ground)).toBeGreaterThanOrEqual(4.5);
  }
});
