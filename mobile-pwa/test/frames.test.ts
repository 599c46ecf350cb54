import { describe, expect, test } from "vitest";
import { FRAME_BYTES_MAX, Malformed, ack, ask, attach, decode, input, resize, visible } from "../src/wire/frames";

const message = (...bytes: number[]) => Uint8Array.from(bytes).buffer;
const worded = (kind: number, text: string) => message(kind, ...new TextEncoder().encode(text));
const json = (buffer: ArrayBuffer) => new TextDecoder().decode(new Uint8Array(buffer, 1));

describe("down", () => {
  test("an incarnation keeps all of its digits", () => {
    const told = '{"version":1,"incarnation":18446744073709551557,"speaks":2}';
    expect(decode(worded(1, told))).toEqual({
      kind: "hello",
      hello: { version: 1, incarnation: "18446744073709551557", speaks: 2 },
    });
    const wish = { terminal: "main", cols: 80, rows: 24, readOnly: false, historyLines: 9 };
    expect(json(attach({ ...wish, resume: ["18446744073709551557", 7] }))).toBe(
      '{"resume":[18446744073709551557,7],"terminal":"main","cols":80,"rows":24,"read_only":false,"history_lines":9}',
    );
    expect(json(attach(wish))).toContain('"resume":null');
  });

  test("snapshot, output and size are little endian", () => {
    expect(decode(message(0x20, 1, 1, 0, 0, 0, 0, 0, 0, 120, 0, 40, 0, 65, 66))).toEqual({
      kind: "snapshot",
      seq: 257,
      cols: 120,
      rows: 40,
      bytes: Uint8Array.of(65, 66),
    });
    expect(decode(message(0x21, 5, 0, 0, 0, 0, 0, 0, 0, 7))).toEqual({
      kind: "output",
      seq: 5,
      bytes: Uint8Array.of(7),
    });
    expect(decode(message(0x22, 5, 0, 0, 0, 0, 0, 0, 0, 0, 1, 24, 0))).toMatchObject({ cols: 256, rows: 24 });
  });

  test("a lease has all its fields, told or not", () => {
    expect(decode(worded(0x26, '{"epoch":3}'))).toEqual({
      kind: "lease",
      lease: { epoch: 3, yours: false, asked: [], recorded: false },
    });
  });

  test("what a program would copy is text", () => {
    expect(decode(worded(0x27, "git log — \n"))).toEqual({ kind: "copy", text: "git log — \n" });
    expect(() => decode(message(0x27, 0xff))).toThrow(Malformed);
  });

  test("what is not known is skipped, what is broken is told", () => {
    expect(decode(message(0x77, 1, 2))).toBeUndefined();
    expect(() => decode(message())).toThrow(Malformed);
    expect(() => decode(message(0x21, 1))).toThrow(Malformed);
    expect(() => decode(worded(0x26, "{"))).toThrow(Malformed);
    expect(() => decode(message(0x24, 0xff))).toThrow(Malformed);
    expect(() => decode(message(0x21, 255, 255, 255, 255, 255, 255, 255, 255))).toThrow(Malformed);
    expect(() => decode(new ArrayBuffer(FRAME_BYTES_MAX + 1))).toThrow(Malformed);
  });
});

test("up", () => {
  expect(new Uint8Array(input(258, 1, Uint8Array.of(3)))).toEqual(
    Uint8Array.of(0x11, 2, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3),
  );
  expect(new Uint8Array(resize(300, 24))).toEqual(Uint8Array.of(0x12, 44, 1, 24, 0));
  expect(new Uint8Array(ack(1)).length).toBe(9);
  expect(new Uint8Array(visible(true))).toEqual(Uint8Array.of(0x15, 1));
  expect(json(ask("request"))).toBe('"request"');
  expect(json(ask({ grant: { to: "ann" } }))).toBe('{"grant":{"to":"ann"}}');
});
