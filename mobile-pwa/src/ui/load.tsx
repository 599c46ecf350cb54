// What comes later: code of a page, and answers of the API.

import type { ComponentChildren, ComponentType } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { words } from "../api/client";

export const Wait = () => (
  <div class="wait" role="status" aria-label="Loading">
    <div class="spin" />
  </div>
);

/** A component whose code is fetched when it is first shown. */
export function lazy<P extends object>(load: () => Promise<ComponentType<P>>) {
  let found: ComponentType<P> | undefined;
  return function Later(props: P) {
    const [, ready] = useState(false);
    const [failed, fail] = useState(false);
    useEffect(() => {
      if (found) return;
      load().then(
        (component) => {
          found = component;
          ready(true);
        },
        () => fail(true),
      );
    }, []);
    if (failed) return <Trouble error="This part could not be loaded" retry={() => location.reload()} />;
    const Component = found;
    return Component ? <Component {...props} /> : <Wait />;
  };
}

export interface Loaded<T> {
  value: T | undefined;
  error: string;
  /** Asks again; what is shown stays until the answer is there. */
  again: () => void;
  put: (value: T) => void;
}

/**
 * What `ask` answers; asked again when `keys` change, and every `every` milliseconds while the page is seen.
 * `stays`: what was answered for other keys is shown until the new answer is there.
 */
export function useLoad<T>(ask: () => Promise<T>, keys: readonly unknown[], every = 0, stays = false): Loaded<T> {
  const [value, put] = useState<T | undefined>(undefined);
  const [error, fail] = useState("");
  const turn = useRef(0);
  const again = useCallback(() => {
    const mine = ++turn.current;
    ask().then(
      (answer) => {
        if (mine !== turn.current) return;
        put(() => answer);
        fail("");
      },
      (why: unknown) => mine === turn.current && fail(words(why)),
    );
  }, keys);
  useEffect(() => {
    if (!stays) put(undefined);
    again();
    const timer = every > 0 && window.setInterval(() => document.visibilityState === "visible" && again(), every);
    return () => {
      turn.current += 1;
      if (timer) window.clearInterval(timer);
    };
  }, keys);
  return { value, error, again, put };
}

export function Trouble({ error, retry }: { error: string; retry?: () => void }) {
  return (
    <div class="empty" role="alert">
      <h2>That did not work</h2>
      <p>{error}</p>
      {retry && (
        <button class="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** The answer when it is there, or why it is not. */
export function Shown<T>({ of, children }: { of: Loaded<T>; children: (value: T) => ComponentChildren }) {
  if (of.value !== undefined) return <>{children(of.value)}</>;
  return of.error ? <Trouble error={of.error} retry={of.again} /> : <Wait />;
}
