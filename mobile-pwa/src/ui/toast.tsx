// What is said in passing, and to screen readers.

import { signal } from "@preact/signals";
import { words } from "../api/client";

interface Toast {
  id: number;
  text: string;
  bad: boolean;
}

const toasts = signal<Toast[]>([]);
/** Said, not shown: changes of state. */
const spoken = signal("");
let next = 1;

export function say(text: string, bad = false): void {
  const id = next++;
  toasts.value = [...toasts.value.filter((toast) => toast.text !== text).slice(-2), { id, text, bad }];
  window.setTimeout(() => drop(id), bad ? 8_000 : 4_000);
}

export const tell = (error: unknown): void => say(words(error), true);

export function announce(text: string): void {
  spoken.value = text;
}

function drop(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

export function Toasts() {
  return (
    <>
      <div class="toasts" role="status" aria-live="polite">
        {toasts.value.map((toast) => (
          <div key={toast.id} class={toast.bad ? "toast bad" : "toast"} onClick={() => drop(toast.id)}>
            {toast.text}
          </div>
        ))}
      </div>
      <div class="hidden" role="status" aria-live="polite">
        {spoken.value}
      </div>
    </>
  );
}
