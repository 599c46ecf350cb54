// One terminal over a WebSocket: attaches, comes back where it was, acknowledges what was parsed.

import * as frames from "./frames";
import type { Exit, Lease } from "./frames";

/** What draws. `done` is called when it has parsed what it was given. */
export interface Screen {
  /** Everything anew: a freshly reset terminal of this size, then these bytes. */
  snapshot(cols: number, rows: number, bytes: Uint8Array, done: () => void): void;
  output(bytes: Uint8Array, done: () => void): void;
  resized(cols: number, rows: number): void;
}

export type Status =
  | { is: "connecting"; tries: number }
  | { is: "open" }
  | { is: "ended"; exit?: Exit }
  | { is: "refused"; reason: string };

export interface Watcher {
  status(status: Status): void;
  lease(lease: Lease): void;
  refused(reason: string): void;
  /** The program would put this on the clipboard. */
  copy(text: string): void;
}

export interface Place {
  agent: string;
  terminal: string;
  readOnly: boolean;
  historyLines: number;
}

/** Unacknowledged bytes at which an acknowledgement goes out at once. */
const ACK_BYTES = 16 * 1024;
const ACK_MS = 40;
const PING_MS = 10_000;
/** Nothing for so long means that the way is dead. */
const DEAD_MS = 25_000;
const BACKOFF_MS = [0, 250, 500, 1000, 2000, 4000, 8000];

/** Asks why a WebSocket was not let in: the answer to the upgrade is not told to a page. */
export type Reason = (place: Place) => Promise<{ reason: string; final: boolean }>;

export class Link {
  private socket: WebSocket | undefined;
  private incarnation = "";
  private next: number | undefined;
  private acked = 0;
  private parsed = 0;
  private number = 0;
  private epoch = 0;
  private tries = 0;
  private heard = 0;
  private ended = false;
  private timer = 0;
  private pinger = 0;
  private acker = 0;

  constructor(
    private readonly place: Place,
    private readonly screen: Screen,
    private readonly watcher: Watcher,
    private readonly why: Reason,
    private size: { cols: number; rows: number },
  ) {
    this.pinger = window.setInterval(() => this.beat(), PING_MS);
    window.addEventListener("online", this.hurry);
    window.addEventListener("pageshow", this.hurry);
    document.addEventListener("visibilitychange", this.seen);
    this.connect();
  }

  close(): void {
    this.ended = true;
    window.clearInterval(this.pinger);
    window.clearTimeout(this.timer);
    window.clearTimeout(this.acker);
    window.removeEventListener("online", this.hurry);
    window.removeEventListener("pageshow", this.hurry);
    document.removeEventListener("visibilitychange", this.seen);
    this.say(frames.detach());
    this.socket?.close();
  }

  /** Types. `false`: there is no connection, and it was not sent. */
  type(bytes: Uint8Array): boolean {
    if (!this.open()) return false;
    for (let at = 0; at < bytes.length; at += frames.INPUT_BYTES_MAX) {
      this.number += 1;
      this.say(frames.input(this.epoch, this.number, bytes.slice(at, at + frames.INPUT_BYTES_MAX)));
    }
    return true;
  }

  /** The size that this viewer would like the terminal to have. */
  resize(cols: number, rows: number): void {
    if (cols === this.size.cols && rows === this.size.rows) return;
    this.size = { cols, rows };
    this.say(frames.resize(cols, rows));
  }

  ask(wish: frames.LeaseWish): void {
    this.say(frames.ask(wish));
  }

  /** Draws everything anew. */
  repaint(): void {
    this.next = undefined;
    this.socket?.close();
  }

  private open(): boolean {
    return this.socket?.readyState === WebSocket.OPEN && this.next !== undefined;
  }

  private say(message: ArrayBuffer): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(message);
  }

  private connect(): void {
    const { agent, terminal, readOnly } = this.place;
    const url = new URL(`/v1/agents/${encodeURIComponent(agent)}/attach`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    url.searchParams.set("terminal", terminal);
    if (readOnly) url.searchParams.set("read_only", "true");
    this.watcher.status({ is: "connecting", tries: this.tries });
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.heard = Date.now();
    let greeted = false;
    socket.onmessage = (event: MessageEvent<unknown>) => {
      if (this.socket !== socket || !(event.data instanceof ArrayBuffer)) return;
      greeted = true;
      this.take(event.data, socket);
    };
    socket.onclose = () => {
      if (this.socket === socket) void this.lost(greeted);
    };
  }

  private take(message: ArrayBuffer, socket: WebSocket): void {
    this.heard = Date.now();
    let frame: frames.Down | undefined;
    try {
      frame = frames.decode(message);
    } catch {
      socket.close();
      return;
    }
    if (frame) this.act(frame, socket);
  }

  private act(frame: frames.Down, socket: WebSocket): void {
    switch (frame.kind) {
      case "hello":
        this.greet(frame.hello);
        break;
      case "snapshot": {
        this.began();
        this.next = frame.seq;
        const { seq } = frame;
        this.screen.snapshot(frame.cols, frame.rows, frame.bytes, () => this.done(seq));
        break;
      }
      case "output": {
        this.began();
        if (frame.seq !== this.next) {
          // Something is missing: what is shown would be wrong.
          this.next = undefined;
          socket.close();
          break;
        }
        const end = frame.seq + frame.bytes.length;
        this.next = end;
        this.screen.output(frame.bytes, () => this.done(end));
        break;
      }
      case "resized":
        this.began();
        this.screen.resized(frame.cols, frame.rows);
        break;
      case "lease":
        this.epoch = frame.lease.yours ? frame.lease.epoch : 0;
        this.watcher.lease(frame.lease);
        break;
      case "copy":
        this.watcher.copy(frame.text);
        break;
      case "refused":
        this.watcher.refused(frame.reason);
        break;
      case "exited":
        this.finish({ is: "ended", exit: frame.exit });
        break;
      case "pong":
        break;
    }
  }

  private greet(hello: frames.Hello): void {
    const same = hello.incarnation === this.incarnation && this.next !== undefined;
    const resume: [string, number] | undefined = same ? [this.incarnation, this.next ?? 0] : undefined;
    this.incarnation = hello.incarnation;
    this.number = 0;
    this.epoch = 0;
    this.acked = this.parsed = resume?.[1] ?? 0;
    const { terminal, readOnly, historyLines } = this.place;
    this.say(frames.attach({ terminal, readOnly, historyLines, resume, ...this.size }));
    this.say(frames.visible(document.visibilityState === "visible"));
    // Nothing held is not told: until a lease comes it is free.
    this.watcher.lease({ epoch: 0, yours: false, asked: [], recorded: false });
    if (resume) this.began();
  }

  private began(): void {
    this.tries = 0;
    this.watcher.status({ is: "open" });
  }

  /** Everything before this is on the screen. */
  private done(seq: number): void {
    this.parsed = Math.max(this.parsed, seq);
    if (this.parsed - this.acked >= ACK_BYTES) {
      this.acknowledge();
    } else if (this.acker === 0) {
      this.acker = window.setTimeout(() => this.acknowledge(), ACK_MS);
    }
  }

  private acknowledge(): void {
    window.clearTimeout(this.acker);
    this.acker = 0;
    if (this.parsed === this.acked) return;
    this.acked = this.parsed;
    this.say(frames.ack(this.acked));
  }

  private async lost(greeted: boolean): Promise<void> {
    this.socket = undefined;
    if (this.ended) return;
    if (!greeted && navigator.onLine) {
      const { reason, final } = await this.why(this.place);
      if (this.ended) return;
      if (final) {
        this.finish({ is: "refused", reason });
        return;
      }
    }
    const pause = BACKOFF_MS[Math.min(this.tries, BACKOFF_MS.length - 1)] ?? 0;
    this.tries += 1;
    this.watcher.status({ is: "connecting", tries: this.tries });
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.connect(), pause);
  }

  private finish(status: Status): void {
    this.ended = true;
    window.clearInterval(this.pinger);
    this.watcher.status(status);
    this.socket?.close();
  }

  private beat(): void {
    if (!this.socket || document.visibilityState !== "visible") return;
    if (Date.now() - this.heard > DEAD_MS) {
      this.drop();
    } else {
      this.say(frames.ping());
    }
  }

  /** The browser would wait for minutes: this connection is given up now. */
  private drop(): void {
    const dead = this.socket;
    this.socket = undefined;
    dead?.close();
    void this.lost(true);
  }

  private readonly hurry = (): void => {
    if (this.ended || this.socket) return;
    window.clearTimeout(this.timer);
    this.tries = 0;
    this.connect();
  };

  private readonly seen = (): void => {
    const visible = document.visibilityState === "visible";
    this.say(frames.visible(visible));
    if (!visible) return;
    this.hurry();
    // A phone that slept has connections that it believes in.
    this.say(frames.ping());
    const asked = Date.now();
    window.setTimeout(() => {
      if (!this.ended && this.socket?.readyState === WebSocket.OPEN && this.heard < asked) this.drop();
    }, 4000);
  };
}
