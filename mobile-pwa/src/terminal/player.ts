// Plays a recording on a canvas.

import { signal } from "@preact/signals";
import { type Recorded, type Step, begin } from "../model/recording";
import type { Canvas } from "./canvas";

/** Longer pauses are cut to this. */
const PAUSE_MS = 2_000;
const FRAME_MS = 33;

export class Player {
  readonly playing = signal(false);
  readonly at = signal(0);
  readonly speed = signal(1);
  private next = 0;
  private timer = 0;
  private told = 0;
  private size: { cols: number; rows: number };

  constructor(
    private readonly recorded: Recorded,
    private readonly canvas: Canvas,
  ) {
    this.size = { cols: recorded.cols, rows: recorded.rows };
    this.seek(0);
  }

  play(): void {
    if (this.next >= this.recorded.steps.length) this.seek(0);
    this.playing.value = true;
    this.told = performance.now();
    this.tick();
  }

  pause(): void {
    this.playing.value = false;
    window.clearTimeout(this.timer);
  }

  toggle(): void {
    if (this.playing.value) this.pause();
    else this.play();
  }

  setSpeed(speed: number): void {
    this.speed.value = speed;
  }

  /** Draws what was to be seen then: from the last whole screen before it. */
  seek(at: number): void {
    const { steps } = this.recorded;
    this.next = begin(this.recorded, at);
    this.size = steps.slice(0, this.next).reduce(
      (size, step) => (step.kind === "resize" ? { cols: step.cols, rows: step.rows } : size),
      { cols: this.recorded.cols, rows: this.recorded.rows },
    );
    this.to(at);
    this.at.value = at;
  }

  close(): void {
    this.pause();
    this.canvas.dispose();
  }

  private tick(): void {
    if (!this.playing.value) return;
    const now = performance.now();
    const passed = (now - this.told) * this.speed.value;
    this.told = now;
    let at = this.at.value + passed;
    const coming = this.recorded.steps[this.next];
    if (coming && coming.at - at > PAUSE_MS) at = coming.at - PAUSE_MS;
    this.to(at);
    this.at.value = Math.min(at, this.recorded.length);
    if (this.next >= this.recorded.steps.length) this.pause();
    else this.timer = window.setTimeout(() => this.tick(), FRAME_MS);
  }

  private to(at: number): void {
    const { steps } = this.recorded;
    for (let step = steps[this.next]; step && step.at <= at; step = steps[this.next]) {
      this.show(step);
      this.next += 1;
    }
  }

  private show(step: Step): void {
    if (step.kind === "screen") this.canvas.snapshot(this.size.cols, this.size.rows, step.bytes, () => undefined);
    else if (step.kind === "output") this.canvas.output(step.bytes, () => undefined);
    else if (step.kind === "resize") {
      this.size = { cols: step.cols, rows: step.rows };
      this.canvas.resized(step.cols, step.rows);
    }
  }
}
