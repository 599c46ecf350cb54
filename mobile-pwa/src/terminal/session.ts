// A canvas and its link together: what a pane shows and does.

import { signal } from "@preact/signals";
import { Refusal, call, words } from "../api/client";
import { coarse, isDark, settings } from "../settings";
import type { Lease, LeaseWish } from "../wire/frames";
import { Link, type Place, type Status } from "../wire/link";
import { Canvas } from "./canvas";
import { bytes, control } from "./typing";

const HISTORY_LINES = 1_000;
/** A window that is being dragged is no size yet. */
const RESIZE_MS = 150;
const REFUSED_MS = 4_000;
const TYPING_MS = 2_000;

export type Geometry =
  /** As large as the window: the program is drawn for it. */
  | "fit"
  /** As it is: what is larger than the window is shown smaller, or panned. */
  | "keep";

/** Why a WebSocket was refused: the same is asked in a way that is told. */
async function reason({ agent }: Place): Promise<{ reason: string; final: boolean }> {
  try {
    const { state } = await call("get /v1/agents/{agent}", { path: { agent } });
    const off = state === "stopped" || state === "failed" || state === "lost";
    return { reason: `It is ${state}: no terminal runs.`, final: off };
  } catch (error) {
    const final = error instanceof Refusal && !error.unreachable && error.status !== 500;
    return { reason: words(error), final };
  }
}

export class Session {
  readonly status = signal<Status>({ is: "connecting", tries: 0 });
  readonly lease = signal<Lease>({ epoch: 0, yours: false, asked: [], recorded: false });
  /** Why a key was not taken, for a moment. */
  readonly refused = signal("");
  /** What the program would put on the clipboard. */
  readonly offered = signal("");
  readonly ctrl = signal(false);
  readonly geometry = signal<Geometry>(coarse.matches ? "keep" : "fit");
  readonly whole = signal(true);
  readonly size = signal({ cols: 0, rows: 0 });
  readonly canvas: Canvas;
  private link: Link | undefined;
  private closed = false;
  private typed = 0;
  private resizing = 0;
  private refusing = 0;
  private readonly observer: ResizeObserver;

  constructor(
    private readonly place: { agent: string; terminal: string; readOnly: boolean },
    private readonly view: HTMLElement,
    host: HTMLElement,
  ) {
    const { font, reader } = settings.peek();
    const keys = !coarse.matches && !place.readOnly;
    this.canvas = new Canvas(view, host, { font, reader, keys, dark: isDark.peek() });
    this.canvas.term.onData((data) => this.text(data));
    this.canvas.term.onBinary((data) => this.send(Uint8Array.from(data, (char) => char.charCodeAt(0))));
    this.canvas.term.onResize((size) => {
      this.size.value = size;
      // Whoever keeps the size wishes for what it is: taking the keyboard changes nothing.
      if (this.geometry.peek() === "keep") this.link?.resize(size.cols, size.rows);
    });
    this.canvas.term.onCursorMove(() => this.follow());
    this.observer = new ResizeObserver(() => this.later());
    this.observer.observe(view);
    void this.open();
  }

  private async open(): Promise<void> {
    const size = (await this.first()) ?? { cols: 80, rows: 24 };
    if (this.closed) return;
    const place = { ...this.place, historyLines: HISTORY_LINES };
    const watcher = {
      status: (status: Status) => {
        this.status.value = status;
      },
      lease: (lease: Lease) => {
        this.lease.value = lease;
      },
      refused: (why: string) => this.refuse(why),
      copy: (text: string) => {
        this.offered.value = text;
      },
    };
    this.link = new Link(place, this.canvas, watcher, reason, size);
  }

  /** Opening a terminal on a phone must not change its size: it is asked for before. */
  private async first(): Promise<{ cols: number; rows: number } | undefined> {
    if (this.geometry.peek() === "fit") {
      // Letters have a size when they are drawn for the first time.
      await new Promise((resolve) => requestAnimationFrame(resolve));
      return this.canvas.fitting();
    }
    const { agent, terminal } = this.place;
    try {
      const { cols, rows } = await call("get /v1/agents/{agent}/capture", { path: { agent }, query: { terminal } });
      return { cols, rows };
    } catch {
      return undefined;
    }
  }

  /** Keys as text. */
  text(data: string): void {
    if (this.ctrl.peek() && [...data].length === 1) {
      this.ctrl.value = false;
      this.send(bytes(control(data)));
    } else {
      this.send(bytes(data));
    }
  }

  private send(typed: Uint8Array): void {
    this.typed = Date.now();
    if (this.place.readOnly) {
      this.refuse("You are only watching.");
    } else if (!this.link?.type(typed)) {
      this.refuse("Not connected: this was not typed.");
    }
  }

  private refuse(why: string): void {
    this.refused.value = why.replace(/; `wsm lease[^`]*` asks for it/, "");
    window.clearTimeout(this.refusing);
    this.refusing = window.setTimeout(() => {
      this.refused.value = "";
    }, REFUSED_MS);
  }

  /** Keys go there, where keys do. */
  focus(): void {
    if (!coarse.matches) this.canvas.term.focus();
  }

  ask(wish: LeaseWish): void {
    this.link?.ask(wish);
  }

  repaint(): void {
    this.link?.repaint();
  }

  /** The program is drawn for this window from now on. */
  fit(): void {
    const size = this.canvas.fittingExactly();
    if (size) this.link?.resize(size.cols, size.rows);
  }

  setWhole(whole: boolean): void {
    this.whole.value = whole;
    this.canvas.setWhole(whole);
  }

  get application(): boolean {
    return this.canvas.term.modes.applicationCursorKeysMode;
  }

  get bracketed(): boolean {
    return this.canvas.term.modes.bracketedPasteMode;
  }

  private later(): void {
    window.clearTimeout(this.resizing);
    this.resizing = window.setTimeout(() => {
      // A keyboard that covers half of the screen is no other size of it.
      const typing = coarse.matches && document.activeElement instanceof HTMLTextAreaElement;
      if (!typing) this.canvas.zoom();
      const size = this.geometry.peek() === "fit" ? this.canvas.fitting() : undefined;
      if (size && !typing) this.link?.resize(size.cols, size.rows);
      this.follow();
    }, RESIZE_MS);
  }

  /** Where not all of it is to be seen, the cursor is. */
  private follow(): void {
    const { term } = this.canvas;
    const buffer = term.buffer.active;
    if (this.view.scrollHeight <= this.view.clientHeight + 1 && this.view.scrollWidth <= this.view.clientWidth + 1) return;
    const drawn = this.view.querySelector<HTMLElement>(".xterm-screen");
    if (!drawn) return;
    const [width, height] = [drawn.offsetWidth / term.cols, drawn.offsetHeight / term.rows];
    const [x, y] = [buffer.cursorX * width, buffer.cursorY * height];
    if (y < this.view.scrollTop || y + height * 2 > this.view.scrollTop + this.view.clientHeight) {
      this.view.scrollTop = y - this.view.clientHeight + height * 3;
    }
    // To the side only for who types: who reads is left where lines begin.
    if (Date.now() - this.typed > TYPING_MS) return;
    if (x < this.view.scrollLeft || x + width * 4 > this.view.scrollLeft + this.view.clientWidth) {
      this.view.scrollLeft = x < this.view.clientWidth * 0.8 ? 0 : x - this.view.clientWidth * 0.7;
    }
  }

  close(): void {
    this.closed = true;
    this.observer.disconnect();
    window.clearTimeout(this.resizing);
    window.clearTimeout(this.refusing);
    this.link?.close();
    this.canvas.dispose();
  }
}
