// Recordings as the daemon sends them (terminal/src/recording.rs), and as asciicast v3.

export type Step =
  | { at: number; kind: "screen"; bytes: Uint8Array }
  | { at: number; kind: "output"; bytes: Uint8Array }
  | { at: number; kind: "resize"; cols: number; rows: number }
  | { at: number; kind: "exit"; code: string }
  | { at: number; kind: "input"; user: string; text: string };

export interface Recorded {
  cols: number;
  rows: number;
  /** Milliseconds since 1970. */
  begun: number;
  /** Milliseconds from the first step to the last. */
  length: number;
  steps: Step[];
}

const SEGMENT_BYTES = 2 * 1024 * 1024;
const HEAD_BYTES = 32;
const BLOCK_HEAD_BYTES = 12;
const MAGIC = "wsmrec1\n";

const [META, SCREEN, OUTPUT, RESIZE, EXIT, INPUT] = [..."hsorxi"].map((kind) => kind.charCodeAt(0));

/** Reads a file. What the daemon sends has only sound blocks; a length of nothing ends a segment. */
export function read(file: ArrayBuffer): Recorded {
  const recorded: Recorded = { cols: 80, rows: 24, begun: 0, length: 0, steps: [] };
  let first: number | undefined;
  for (let from = 0; from + HEAD_BYTES <= file.byteLength; from += SEGMENT_BYTES) {
    const view = new DataView(file, from, Math.min(SEGMENT_BYTES, file.byteLength - from));
    const magic = String.fromCharCode(...new Uint8Array(file, from, 8));
    if (magic !== MAGIC) throw new Error("This recording can't be read: was it written by a newer wsm?");
    const begun = Number(view.getBigUint64(16, true)) / 1000;
    first ??= begun;
    segment(view, begun - first, recorded);
  }
  recorded.begun = first ?? 0;
  recorded.length = recorded.steps[recorded.steps.length - 1]?.at ?? 0;
  return recorded;
}

function segment(view: DataView, begun: number, recorded: Recorded): void {
  let at = begun;
  let place = HEAD_BYTES;
  while (place + BLOCK_HEAD_BYTES <= view.byteLength) {
    const end = place + BLOCK_HEAD_BYTES + view.getUint32(place, true);
    if (end === place + BLOCK_HEAD_BYTES || end > view.byteLength) return;
    const reader = new Reader(view, place + BLOCK_HEAD_BYTES, end);
    for (let event = reader.next(); event; event = reader.next()) {
      at += event.after / 1000;
      take(event, at, recorded);
    }
    place = end;
  }
}

interface Event {
  kind: number;
  after: number;
  bytes: Uint8Array;
}

class Reader {
  constructor(
    private readonly view: DataView,
    private at: number,
    private readonly end: number,
  ) {}

  next(): Event | undefined {
    if (this.at >= this.end) return undefined;
    const kind = this.view.getUint8(this.at++);
    const after = this.varint();
    const length = this.varint();
    if (this.at + length > this.end) return undefined;
    const bytes = new Uint8Array(this.view.buffer, this.view.byteOffset + this.at, length);
    this.at += length;
    return { kind, after, bytes };
  }

  private varint(): number {
    let [value, scale] = [0, 1];
    while (this.at < this.end) {
      const byte = this.view.getUint8(this.at++);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      scale *= 128;
    }
    return value;
  }
}

function take({ kind, bytes }: Event, at: number, recorded: Recorded): void {
  const word = (from: number) => (bytes[from] ?? 0) | ((bytes[from + 1] ?? 0) << 8);
  if (kind === META && recorded.steps.length === 0) {
    const meta = JSON.parse(new TextDecoder().decode(bytes)) as { cols: number; rows: number };
    recorded.cols = meta.cols;
    recorded.rows = meta.rows;
  } else if (kind === SCREEN) recorded.steps.push({ at, kind: "screen", bytes });
  else if (kind === OUTPUT) recorded.steps.push({ at, kind: "output", bytes });
  else if (kind === RESIZE) recorded.steps.push({ at, kind: "resize", cols: word(0), rows: word(2) });
  else if (kind === EXIT) {
    const code = new TextDecoder().decode(bytes).replace(/^\D+|\D+$/g, "");
    recorded.steps.push({ at, kind: "exit", code });
  } else if (kind === INPUT) {
    const [user = "", ...typed] = new TextDecoder().decode(bytes).split("\n");
    recorded.steps.push({ at, kind: "input", user, text: typed.join("\n") });
  }
}

/** The last whole screen at or before a time: where playing can begin. */
export function begin({ steps }: Recorded, at: number): number {
  let found = 0;
  steps.forEach((step, index) => {
    if (step.kind === "screen" && step.at <= at) found = index;
  });
  return found;
}

/** Redraws from whatever stood there. */
export const RESET = "\x1bc";

/** As asciinema plays it. */
export function cast(recorded: Recorded, title: string): string {
  const header = {
    version: 3,
    term: { cols: recorded.cols, rows: recorded.rows, type: "xterm-256color" },
    timestamp: Math.floor(recorded.begun / 1000),
    title,
  };
  const text = new TextDecoder();
  let [told, typist] = [0, ""];
  const lines = recorded.steps.flatMap((step) => {
    const after = Math.max(0, Math.round(step.at) - told);
    told += after;
    const last = [after / 1000, ...line(step, text)];
    if (step.kind !== "input" || step.user === typist) return [JSON.stringify(last)];
    // asciicast knows no names: a marker says whose the keys are from there on.
    typist = step.user;
    return [JSON.stringify([after / 1000, "m", `${typist} types`]), JSON.stringify([0, "i", step.text])];
  });
  return `${[JSON.stringify(header), ...lines].join("\n")}\n`;
}

function line(step: Step, text: TextDecoder): [string, string] {
  switch (step.kind) {
    case "screen":
      return ["o", `${RESET}${new TextDecoder().decode(step.bytes)}`];
    case "output":
      // A character that is cut is whole with the next piece.
      return ["o", text.decode(step.bytes, { stream: true })];
    case "resize":
      return ["r", `${step.cols}x${step.rows}`];
    case "exit":
      return ["x", step.code];
    case "input":
      return ["i", step.text];
  }
}
