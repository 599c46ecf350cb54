import { expect, test } from "vitest";
import { css, indexed, lines } from "../src/terminal/ansi";

const PALETTE = Array.from({ length: 16 }, (_, at) => `c${at}`);
const shown = (text: string) => lines(text, PALETTE).map((line) => line.map((it) => [it.text, it.style]));

test("text and colours", () => {
  expect(shown("a\x1b[1;31mb\x1b[0mc\nd\n")).toEqual([[["a", {}], ["b", { bold: true, fg: "c1" }], ["c", {}]], [["d", {}]]]);
  expect(shown("\x1b[38;5;9;48;2;1;2;3mx\x1b[39mxx")).toEqual([
    [
      ["x", { fg: "c9", bg: "rgb(1 2 3)" }],
      ["xx", { bg: "rgb(1 2 3)" }],
    ],
  ]);
  expect(shown("\x1b[1;2m\x1b[22mx\x1b[97my")).toEqual([[["x", {}], ["y", { fg: "c15" }]]]);
});

test("what is no colour is left out, and so are empty lines at the end", () => {
  expect(shown("\x1b[2Ja\x1b[Hb\n  \n\n")).toEqual([[["a", {}], ["b", {}]]]);
});

test("256 colours", () => {
  expect(indexed(16, PALETTE)).toBe("rgb(0 0 0)");
  expect(indexed(231, PALETTE)).toBe("rgb(255 255 255)");
  expect(indexed(196, PALETTE)).toBe("rgb(255 0 0)");
  expect(indexed(232, PALETTE)).toBe("rgb(8 8 8)");
});

test("inverse swaps", () => {
  const sheet = { ink: "#1d2430", paper: "#fcfcfd" };
  expect(css({ inverse: true, fg: "#17693a" }, sheet)).toEqual({ color: "#fcfcfd", background: "#17693a" });
  expect(css({ fg: "rgb(255 255 255)" }, sheet).color).not.toBe("rgb(255 255 255)");
});
