// What is said in passing, and to screen readers.

import { signal } from "@preact/signals";
import { words } from "../api/client";

interface Toast {
  id: number;
  text: string;
  bad: boolean;
  /** Something to do about it. */
  offer?: Offer | undefined;
}

interface Offer {
  label: string;
  act: () => void;
}

const toasts = signal<Toast[]>([]);
/** Said, not shown: changes of state. */
const spoken = signal("");
let next = 1;

export function say(text: string, bad = false, offer?: Offer): void {
  const id = next++;
  toasts.value = [...toasts.value.filter((toast) => toast.text !== text).slice(-2), { id, text, bad, offer }];
  window.setTimeout(() => drop(id), bad || offer ? 8_000 : 4_000);
}

export const tell = (error: unknown): void => say(words(error), true);

/** An address for elsewhere, or what a program would copy. */
export async function copy(text: string, done = "The address was copied"): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    say(done);
  } catch {
    say(`The browser gives no access to the clipboard: ${text}`, true);
  }
}

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
            {toast.offer && (
              <button class="button quiet" onClick={toast.offer.act}>
                {toast.offer.label}
              </button>
            )}
          </div>
        ))}
      </div>
      <div class="hidden" role="status" aria-live="polite">
        {spoken.value}
      </div>
    </>
  );
}
