// Frames of the shim protocol as WebSocket messages (terminal/src/protocol/codec.rs).

/** First frame of the shim. */
export interface Hello {
  version: number;
  /** Sequence numbers are comparable only within one. As it was written: it may be beyond 2^53. */
  incarnation: string;
  speaks: number;
}

export interface Person {
  user: string;
  device: string;
}

/** Who may type. */
export interface Lease {
  epoch: number;
  holder?: Person;
  yours: boolean;
  asked: string[];
  /** What is typed is recorded. */
  recorded: boolean;
}

/** How a process ended. */
export type Exit = { code: number } | { signal: number } | Record<string, unknown>;

export type Down =
  | { kind: "hello"; hello: Hello }
  | { kind: "snapshot"; seq: number; cols: number; rows: number; bytes: Uint8Array }
  | { kind: "output"; seq: number; bytes: Uint8Array }
  | { kind: "resized"; seq: number; cols: number; rows: number }
  | { kind: "exited"; exit: Exit }
  | { kind: "refused"; reason: string }
  | { kind: "lease"; lease: Lease }
  | { kind: "copy"; text: string }
  | { kind: "pong" };

export interface Attach {
  terminal: string;
  /** Incarnation and the next number that is lacking. */
  resume?: [string, number] | undefined;
  cols: number;
  rows: number;
  readOnly: boolean;
  historyLines: number;
}

export type LeaseWish = "request" | "release" | { grant: { to: string } };

const HELLO = 0x01;
const ATTACH = 0x10;
const INPUT = 0x11;
const RESIZE = 0x12;
const ACK = 0x13;
const DETACH = 0x14;
const VISIBLE = 0x15;
const ASK = 0x16;
const SNAPSHOT = 0x20;
const OUTPUT = 0x21;
const RESIZED = 0x22;
const EXITED = 0x23;
const REFUSED = 0x24;
const LEASE = 0x26;
const COPY = 0x27;
const PING = 0x40;
const PONG = 0x41;

/** Longest frame, either way. */
export const FRAME_BYTES_MAX = 1024 * 1024;

/** What one message may bring to the program at once. */
export const INPUT_BYTES_MAX = 16 * 1024;

const text = new TextDecoder("utf-8", { fatal: true });
const utf8 = new TextEncoder();

/** A message that is not what its type says. */
export class Malformed extends Error {}

/** Reads a message; `undefined`: of a type that is not known, to be skipped. */
export function decode(message: ArrayBuffer): Down | undefined {
  if (message.byteLength === 0 || message.byteLength > FRAME_BYTES_MAX) {
    throw new Malformed(`a frame of ${message.byteLength} bytes`);
  }
  const view = new DataView(message);
  try {
    return payload(view.getUint8(0), view);
  } catch (error) {
    throw error instanceof Malformed ? error : new Malformed(`frame ${view.getUint8(0)}: ${String(error)}`);
  }
}

function payload(kind: number, view: DataView): Down | undefined {
  switch (kind) {
    case HELLO:
      return { kind: "hello", hello: hello(words(view)) };
    case SNAPSHOT:
      return { kind: "snapshot", seq: u64(view, 1), ...size(view), bytes: bytes(view, 13) };
    case OUTPUT:
      return { kind: "output", seq: u64(view, 1), bytes: bytes(view, 9) };
    case RESIZED:
      return { kind: "resized", seq: u64(view, 1), ...size(view) };
    case EXITED:
      return { kind: "exited", exit: JSON.parse(words(view)) as Exit };
    case REFUSED:
      return { kind: "refused", reason: words(view) };
    case LEASE:
      return { kind: "lease", lease: lease(words(view)) };
    case COPY:
      return { kind: "copy", text: words(view) };
    case PONG:
      return { kind: "pong" };
    default:
      return undefined;
  }
}

function hello(json: string): Hello {
  const { version, speaks } = JSON.parse(json) as { version: number; speaks?: number };
  const incarnation = /"incarnation"\s*:\s*(\d+)/.exec(json)?.[1] ?? "0";
  return { version, incarnation, speaks: speaks ?? 1 };
}

function lease(json: string): Lease {
  const told = JSON.parse(json) as Partial<Lease> & { epoch: number };
  return { ...told, yours: told.yours ?? false, asked: told.asked ?? [], recorded: told.recorded ?? false };
}

const size = (view: DataView) => ({ cols: view.getUint16(9, true), rows: view.getUint16(11, true) });
const words = (view: DataView) => text.decode(bytes(view, 1));

function bytes(view: DataView, from: number): Uint8Array {
  if (view.byteLength < from) throw new Malformed("it is too short");
  return new Uint8Array(view.buffer, from);
}

function u64(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Malformed("a number beyond all output");
  return Number(value);
}

/** Becomes a viewer. */
export function attach(wish: Attach): ArrayBuffer {
  const rest = {
    terminal: wish.terminal,
    cols: wish.cols,
    rows: wish.rows,
    read_only: wish.readOnly,
    history_lines: wish.historyLines,
  };
  // The incarnation as it was told: JSON of JavaScript would round it.
  const resume = wish.resume ? `[${wish.resume[0]},${wish.resume[1]}]` : "null";
  return frame(ATTACH, utf8.encode(`{"resume":${resume},${JSON.stringify(rest).slice(1)}`));
}

/** Types; `epoch` is 0 as long as nobody said that the keyboard is ours. */
export function input(epoch: number, number: number, typed: Uint8Array): ArrayBuffer {
  const out = new ArrayBuffer(17 + typed.length);
  const view = new DataView(out);
  view.setUint8(0, INPUT);
  view.setBigUint64(1, BigInt(epoch), true);
  view.setBigUint64(9, BigInt(number), true);
  new Uint8Array(out, 17).set(typed);
  return out;
}

export function resize(cols: number, rows: number): ArrayBuffer {
  const out = new ArrayBuffer(5);
  const view = new DataView(out);
  view.setUint8(0, RESIZE);
  view.setUint16(1, cols, true);
  view.setUint16(3, rows, true);
  return out;
}

/** Everything before `seq` is parsed: only then is there credit for more. */
export function ack(seq: number): ArrayBuffer {
  const out = new ArrayBuffer(9);
  const view = new DataView(out);
  view.setUint8(0, ACK);
  view.setBigUint64(1, BigInt(seq), true);
  return out;
}

export const detach = (): ArrayBuffer => frame(DETACH);
export const ping = (): ArrayBuffer => frame(PING);
export const visible = (is: boolean): ArrayBuffer => frame(VISIBLE, Uint8Array.of(is ? 1 : 0));
export const ask = (wish: LeaseWish): ArrayBuffer => frame(ASK, utf8.encode(JSON.stringify(wish)));

function frame(kind: number, rest: Uint8Array = new Uint8Array()): ArrayBuffer {
  const out = new Uint8Array(1 + rest.length);
  out[0] = kind;
  out.set(rest, 1);
  return out.buffer;
}
