// Coming in.

import { useState } from "preact/hooks";
import { Refusal, words } from "../api/client";
import { signIn } from "../session";
import { enter } from "../live/store";

export function SignIn({ again = false }: { again?: boolean }) {
  const [token, set] = useState("");
  const [busy, work] = useState(false);
  const [error, fail] = useState("");
  const submit = async (event: Event) => {
    event.preventDefault();
    work(true);
    fail("");
    try {
      await signIn(token.trim());
      set("");
      await enter();
    } catch (why) {
      fail(why instanceof Refusal && why.status === 401 ? "This token is not known here. Was it copied whole?" : words(why));
    } finally {
      work(false);
    }
  };
  return (
    <main class="sign" id="main">
      <form class="sign-box" onSubmit={(event) => void submit(event)}>
        <img src="/icon.svg" alt="" width="56" height="56" />
        <div>
          <h1>{again ? "Your session has ended" : "Sign in to wsm"}</h1>
          <p class="soft">{again ? "Sign in again; nothing you had open is lost." : location.host}</p>
        </div>
        <label class="field">
          <span>Token</span>
          <input
            type="password"
            name="token"
            autocomplete="current-password"
            autocapitalize="off"
            spellcheck={false}
            required
            value={token}
            onInput={(event) => set(event.currentTarget.value)}
          />
          <small>
            Made on that machine by <code>wsm token new --scope own</code>
          </small>
        </label>
        {error && (
          <p class="problem" role="alert">
            {error}
          </p>
        )}
        <button class="button primary" disabled={busy || token.trim() === ""}>
          {busy ? "Signing in" : "Sign in"}
        </button>
      </form>
    </main>
  );
}
