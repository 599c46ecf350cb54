import { expect, test } from "vitest";
import { begin, cast, read } from "../src/model/recording";

const utf8 = new TextEncoder();

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(Math.floor(value / 128))];
}

const event = (kind: string, after: number, bytes: Uint8Array | number[]) => [
  kind.charCodeAt(0),
  ...varint(after),
  ...varint(bytes.length),
  ...bytes,
];

function file(...blocks: number[][]): ArrayBuffer {
  const head = new Uint8Array(32);
  head.set(utf8.encode("wsmrec1\n"));
  const view = new DataView(head.buffer);
  view.setBigUint64(8, 1n, true);
  view.setBigUint64(16, 1_700_000_000_000_000n, true);
  const body = blocks.flatMap((events) => {
    const start = new Uint8Array(12);
    new DataView(start.buffer).setUint32(0, events.length, true);
    return [...start, ...events];
  });
  return Uint8Array.from([...head, ...body, ...new Uint8Array(20)]).buffer;
}

const META = event("h", 0, utf8.encode('{"terminal":"main","begun_ms":1,"cols":100,"rows":30}'));

test("steps with their times", () => {
  const recorded = read(
    file([...META, ...event("s", 0, utf8.encode("hi")), ...event("o", 1_500_000, [0xc3])], [
      ...event("o", 250_000, [0xa9]),
      ...event("?", 0, [1]),
      ...event("r", 0, [120, 0, 40, 0]),
      ...event("i", 0, utf8.encode("ada\nl")),
      ...event("i", 0, utf8.encode("ada\n\n")),
      ...event("x", 10_000, utf8.encode('{"code":3}')),
    ]),
  );
  expect(recorded).toMatchObject({ cols: 100, rows: 30, begun: 1_700_000_000_000, length: 1760 });
  expect(recorded.steps.map((step) => [step.kind, step.at])).toEqual([
    ["screen", 0],
    ["output", 1500],
    ["output", 1750],
    ["resize", 1750],
    ["input", 1750],
    ["input", 1750],
    ["exit", 1760],
  ]);
  expect(begin(recorded, 1600)).toBe(0);
  const lines = cast(recorded, "shop").trim().split("\n").map((line) => JSON.parse(line));
  expect(lines[0]).toMatchObject({ version: 3, term: { cols: 100, rows: 30 }, timestamp: 1_700_000_000 });
  // A character that was cut between two pieces is whole.
  expect(lines.slice(1)).toEqual([
    [0, "o", "\x1bchi"],
    [1.5, "o", ""],
    [0.25, "o", "é"],
    [0, "r", "120x40"],
    [0, "m", "ada types"],
    [0, "i", "l"],
    [0, "i", "\n"],
    [0.01, "x", "3"],
  ]);
});

test("what is no recording is said to be none", () => {
  expect(() => read(new ArrayBuffer(64))).toThrow("can't be read");
});
