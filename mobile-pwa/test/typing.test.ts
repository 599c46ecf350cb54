import { describe, expect, test } from "vitest";
import { control, edit, edited, key, paste } from "../src/terminal/typing";

describe("a phone's keyboard", () => {
  const typed = (before: string, after: string) => edited(edit(before, after));

  test("letters are letters", () => {
    expect(typed("", "l")).toBe("l");
    expect(typed("l", "ls")).toBe("s");
    expect(typed("ls", "l")).toBe("\x7f");
  });

  test("a correction deletes what was wrong", () => {
    expect(typed("gti", "git ")).toBe("\x7f\x7fit ");
    expect(typed("hello", "")).toBe("\x7f".repeat(5));
  });

  test("characters beyond 16 bits are one each", () => {
    expect(typed("👍", "")).toBe("\x7f");
    expect(typed("a👍", "a👎")).toBe("\x7f👎");
  });

  test("a new line is Enter", () => {
    expect(typed("ls", "ls\n")).toBe("\r");
  });
});

test("keys", () => {
  expect(key("ArrowUp", false)).toBe("\x1b[A");
  expect(key("ArrowUp", true)).toBe("\x1bOA");
  expect(key("ArrowLeft", true, { ctrl: true })).toBe("\x1b[1;5D");
  expect(key("Tab", false, { shift: true })).toBe("\x1b[Z");
  expect(control("c")).toBe("\x03");
  expect(control("[")).toBe("\x1b");
  expect(control("1")).toBe("1");
});

test("what is pasted can't end its brackets", () => {
  expect(paste("a\nb", false)).toBe("a\rb");
  expect(paste("a\x1b[201~rm\n", true)).toBe("\x1b[200~arm\r\x1b[201~");
});
