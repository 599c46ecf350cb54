// xterm.js as the screen of a link: sizes, colours, renderer.

import { Terminal } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";
import type { Screen } from "../wire/link";
import { palette } from "./palette";

const MONO = 'ui-monospace, "SF Mono", "JetBrains Mono", "Cascadia Code", Menlo, "DejaVu Sans Mono", monospace';

/** Smaller than this and nobody can read it: then one pans. */
export const FONT_MIN = 7;
/** What is asked for at least where a window is small: programs break below. */
const COLS_MIN = 80;
const ROWS_MIN = 10;

export interface Wishes {
  font: number;
  dark: boolean;
  reader: boolean;
  /** Keys go to xterm's own field; false where fingers type. */
  keys: boolean;
}

export class Canvas implements Screen {
  readonly term: Terminal;
  private font: number;
  /** Shown whole, whatever size it has. */
  private whole = true;
  private own = "";
  // Frames end anywhere, and xterm.js 6.0 loses a character that is cut behind a byte 0x80 (xtermjs#6003).
  private decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(
    private readonly view: HTMLElement,
    private readonly host: HTMLElement,
    wishes: Wishes,
  ) {
    this.font = wishes.font;
    this.term = new Terminal({
      cols: 80,
      rows: 24,
      scrollback: 5_000,
      fontFamily: MONO,
      fontSize: wishes.font,
      lineHeight: 1.15,
      theme: palette(wishes.dark),
      screenReaderMode: wishes.reader,
      disableStdin: !wishes.keys,
      cursorBlink: false,
      cursorInactiveStyle: "outline",
      macOptionIsMeta: true,
      minimumContrastRatio: 4.5,
    });
    this.term.open(host);
    const field = this.term.textarea;
    if (field && !wishes.keys) {
      // Android's keyboards say everything twice to it (xterm.js#3600): fingers type elsewhere.
      field.readOnly = true;
      field.inputMode = "none";
      field.tabIndex = -1;
    }
    if (wishes.keys) void this.accelerate();
  }

  /** By the graphics card where that is reliable; WebKit's is not. */
  private async accelerate(): Promise<void> {
    if (!/Chrome|Firefox/.test(navigator.userAgent)) return;
    try {
      const { WebglAddon } = await import("@xterm/addon-webgl");
      const addon = new WebglAddon();
      addon.onContextLoss(() => addon.dispose());
      this.term.loadAddon(addon);
    } catch {
      // Drawn by the document then.
    }
  }

  snapshot(cols: number, rows: number, bytes: Uint8Array, done: () => void): void {
    this.term.write("", () => {
      this.term.reset();
      this.size(cols, rows);
    });
    this.decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    this.output(bytes, done);
  }

  output(bytes: Uint8Array, done: () => void): void {
    this.term.write(this.decoder.decode(bytes, { stream: true }), done);
  }

  resized(cols: number, rows: number): void {
    // In its place among the output.
    this.term.write("", () => this.size(cols, rows));
  }

  private size(cols: number, rows: number): void {
    if (cols > 0 && rows > 0 && (cols !== this.term.cols || rows !== this.term.rows)) this.term.resize(cols, rows);
    this.zoom();
  }

  get cols(): number {
    return this.term.cols;
  }

  get rows(): number {
    return this.term.rows;
  }

  /** Columns and rows that the window has room for, at the font that was asked for. */
  fitting(): { cols: number; rows: number } | undefined {
    const cell = this.cell();
    const { width, height } = this.room();
    if (!cell || width < 50 || height < 50) return undefined;
    const scale = this.font / (this.term.options.fontSize ?? this.font);
    return {
      cols: Math.max(COLS_MIN, Math.floor(width / (cell.width * scale))),
      rows: Math.max(ROWS_MIN, Math.floor(height / (cell.height * scale))),
    };
  }

  /** The same without a least width: the program is drawn for this screen. */
  fittingExactly(): { cols: number; rows: number } | undefined {
    const cell = this.cell();
    const { width, height } = this.room();
    if (!cell || width < 50 || height < 50) return undefined;
    const scale = this.font / (this.term.options.fontSize ?? this.font);
    return {
      cols: Math.max(20, Math.floor(width / (cell.width * scale))),
      rows: Math.max(ROWS_MIN, Math.floor(height / (cell.height * scale))),
    };
  }

  private room(): { width: number; height: number } {
    const style = getComputedStyle(this.view);
    return {
      width: this.view.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - 1,
      height: this.view.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom),
    };
  }

  private cell(): { width: number; height: number } | undefined {
    const drawn = this.host.querySelector<HTMLElement>(".xterm-screen");
    if (!drawn || drawn.offsetWidth === 0) return undefined;
    return { width: drawn.offsetWidth / this.term.cols, height: drawn.offsetHeight / this.term.rows };
  }

  /** Shown whole in smaller letters, or at the font that was asked for, to pan. */
  setWhole(whole: boolean): void {
    this.whole = whole;
    this.own = "";
    this.zoom();
  }

  setFont(font: number): void {
    this.font = font;
    this.own = "";
    this.zoom();
  }

  look(dark: boolean): void {
    this.term.options.theme = palette(dark);
  }

  /** Letters as large as they may be. */
  zoom(): void {
    const cell = this.cell();
    if (!cell) return;
    const { width, height } = this.room();
    const key = `${this.term.cols}x${this.term.rows} ${width}x${height} ${this.whole} ${this.font}`;
    if (key === this.own) return;
    this.own = key;
    const now = this.term.options.fontSize ?? this.font;
    const fits = (width / (cell.width * this.term.cols)) * now;
    const size = this.whole ? Math.max(FONT_MIN, Math.min(this.font, Math.floor(fits * 4) / 4)) : this.font;
    if (size !== now) this.term.options.fontSize = size;
  }

  /** When what was written last is drawn: xterm.js looks for its renderer from frames of its own. */
  dispose(): void {
    const later = (then: () => void) => requestAnimationFrame(() => requestAnimationFrame(then));
    this.term.write("", () => later(() => this.term.dispose()));
  }
}
