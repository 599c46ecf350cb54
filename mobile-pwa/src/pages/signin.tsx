// Coming in: by a token, a pairing, an invitation or a link to watch.

import "../style/sign.css";
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Refusal, call, words } from "../api/client";
import { enter, forget, who } from "../live/store";
import { watches } from "../model/rights";
import { givenUp, logIn, possible } from "../passkey";
import { go, route, to } from "../route";
import { Icon } from "../ui/icon";
import { claimInvitation, claimPairing, openLink, redeem, signIn, signOut } from "../session";

/** What a link brings stands behind the `#`, and goes away once it is used. */
const done = async () => {
  go("#/", { replace: true });
  await enter();
};

export function SignIn({ again = false }: { again?: boolean }) {
  const { page, parts } = route.value;
  const code = parts[0] ?? "";
  if (page === "pair") return <Pair code={code} />;
  if (page === "invite") return <Invited code={code} />;
  if (page === "watch") return <Watch code={code} />;
  return <ByToken again={again} />;
}

function Box({ title, text, children }: { title: string; text: ComponentChildren; children: ComponentChildren }) {
  return (
    <main class="sign" id="main">
      <div class="sign-box">
        <img src="/icon.svg" alt="" width="56" height="56" />
        <div>
          <h1>{title}</h1>
          <p class="soft">{text}</p>
        </div>
        {children}
      </div>
    </main>
  );
}

const Failed = ({ error }: { error: string }) =>
  error ? (
    <p class="problem" role="alert">
      {error}
    </p>
  ) : null;

/** Runs something once at a time, and tells why it failed. */
function useTry() {
  const [busy, work] = useState(false);
  const [error, fail] = useState("");
  const run = async (act: () => Promise<unknown>, explain: (why: unknown) => string = words) => {
    work(true);
    fail("");
    try {
      await act();
    } catch (why) {
      fail(explain(why));
    } finally {
      work(false);
    }
  };
  return { busy, error, run };
}

async function byPasskey(): Promise<void> {
  await logIn();
  await enter();
}

function ByToken({ again }: { again: boolean }) {
  const [token, set] = useState("");
  const { busy, error, run } = useTry();
  const unknown = (why: unknown) =>
    why instanceof Refusal && why.status === 401 ? "This token is not known here. Was it copied whole?" : words(why);
  const submit = (event: Event) => {
    event.preventDefault();
    void run(async () => {
      await signIn(token.trim());
      set("");
      await enter();
    }, unknown);
  };
  return (
    <Box title={again ? "Your session has ended" : "Sign in to wsm"} text={again ? "Sign in again; you will be where you were." : location.host}>
      {possible() && (
        <button class="button primary" disabled={busy} onClick={() => void run(byPasskey, (why) => (givenUp(why) ? "" : words(why)))}>
          <Icon name="key" /> Use a passkey
        </button>
      )}
      <form class="form" onSubmit={submit}>
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
            Made on that machine by <code>wsm token new --scope own</code>. Or let a device that is signed in show you a code: Settings, Add a device.
          </small>
        </label>
        <Failed error={error} />
        <button class={possible() ? "button" : "button primary"} disabled={busy || token.trim() === ""}>
          {busy ? "Signing in" : "Sign in"}
        </button>
      </form>
    </Box>
  );
}

const ASK_MS = 1_500;

/** The number that is shown here is compared on the device that showed the code. */
function Pair({ code }: { code: string }) {
  const [number, show] = useState("");
  const { error, run } = useTry();
  useEffect(() => {
    let over = false;
    void run(async () => {
      const claimed = await claimPairing(code);
      show(claimed.number);
      while (!over) {
        if (await redeem(claimed.claim)) {
          await done();
          return;
        }
        await new Promise((resolve) => window.setTimeout(resolve, ASK_MS));
      }
    });
    return () => {
      over = true;
    };
  }, [code]);
  return (
    <Box title="Pair this device" text={number && !error ? "Compare this number with the one on the other device, and let it in there." : "A moment"}>
      {number && !error && (
        <p class="pair-number" aria-label={`Number ${[...number].join(" ")}`}>
          {number}
        </p>
      )}
      <Failed error={error} />
      {error && (
        <a class="button" href="#/">
          Sign in another way
        </a>
      )}
    </Box>
  );
}

function Invited({ code }: { code: string }) {
  const [user, name] = useState("");
  const { busy, error, run } = useTry();
  const submit = (event: Event) => {
    event.preventDefault();
    void run(async () => {
      await claimInvitation(code, user.trim());
      await done();
    });
  };
  return (
    <Box title="You are invited" text={`to wsm on ${location.host}`}>
      <form class="form" onSubmit={submit}>
        <label class="field">
          <span>Your name here</span>
          <input type="text" autocomplete="username" autocapitalize="off" spellcheck={false} value={user} onInput={(event) => name(event.currentTarget.value)} />
          <small>Leave it empty if the invitation names you already.</small>
        </label>
        <Failed error={error} />
        <button class="button primary" disabled={busy}>
          {busy ? "Coming in" : "Come in"}
        </button>
      </form>
    </Box>
  );
}

/** A guest has no token: signing in is offered to whoever has more than the link. */
export function LinkOver() {
  return (
    <Box title="The link has ended" text="Whoever gave it to you can make another.">
      <a class="button" href="#/" onClick={forget}>
        Sign in
      </a>
    </Box>
  );
}

/** A link is kept beside a session, and who is signed in stays so: sees the agent as oneself, or signs out for it. */
function Watch({ code }: { code: string }) {
  const { error, run } = useTry();
  const [hidden, hide] = useState("");
  const known = who.value !== undefined;
  useEffect(() => {
    if (!known) return;
    void run(async () => {
      const { agent, id } = await openLink(code);
      const me = who.peek();
      if (!me || watches(me)) await done();
      else if (await sees(id)) go(to("agents", agent), { replace: true });
      else hide(agent);
    });
  }, [code, known]);
  if (hidden && who.value) {
    return (
      <Box title="A link to watch" text={`It shows ${hidden}, which you don’t see as ${who.value.user}.`}>
        <Failed error={error} />
        <div class="actions">
          <a class="button primary" href="#/">
            Stay signed in
          </a>
          <button class="button" onClick={() => void run(() => signOut().then(done))}>
            Sign out and watch
          </button>
        </div>
      </Box>
    );
  }
  return (
    <Box title="A link to watch" text={error ? "It does not open anything any more." : "A moment"}>
      <Failed error={error} />
    </Box>
  );
}

const sees = (agent: string): Promise<boolean> =>
  call("get /v1/agents/{agent}", { path: { agent } }).then(
    () => true,
    () => false,
  );
