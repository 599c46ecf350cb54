// A terminal on a page: the picture, who types, and the row of keys.

import { useSignalEffect } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Agent } from "../api/api.gen";
import { call } from "../api/client";
import { who } from "../live/store";
import { owns } from "../model/rights";
import { coarse, isDark, settings } from "../settings";
import "../style/terminal.css";
import { Icon } from "../ui/icon";
import { size } from "../model/time";
import { announce, copy, say, tell } from "../ui/toast";
import { Keys } from "./keys";
import { Session } from "./session";

interface Props {
  agent: Agent;
  terminal: string;
  readOnly?: boolean;
  /** Beside others: has a head of its own. */
  title?: string;
  /** Shown in its place. */
  head?: ComponentChildren;
  close?: () => void;
}

export function TerminalPane({ agent, terminal, readOnly = false, title, head, close }: Props) {
  const view = useRef<HTMLDivElement>(null);
  const host = useRef<HTMLDivElement>(null);
  const [session, put] = useState<Session | undefined>(undefined);
  const [keys, showKeys] = useState(coarse.matches);
  const running = !["stopped", "failed", "lost", "creating"].includes(agent.state);
  useEffect(() => {
    if (!view.current || !host.current || !running) return undefined;
    const opened = new Session({ agent: agent.id, terminal, readOnly }, view.current, host.current);
    put(opened);
    return () => {
      put(undefined);
      opened.close();
    };
  }, [agent.id, terminal, readOnly, running]);
  useSignalEffect(() => {
    session?.canvas.look(isDark.value);
    session?.canvas.setFont(settings.value.font);
  });
  return (
    <section class="term" aria-label={`Terminal ${terminal} of ${agent.name}`} aria-busy={session?.status.value.is === "connecting"}>
      {title !== undefined && (
        <header class="term-head">
          {head ?? <span class="grow">{title}</span>}
          {close && (
            <button class="icon-button" aria-label={`Close ${title}`} onClick={close}>
              <Icon name="close" />
            </button>
          )}
        </header>
      )}
      {session && <Bar session={session} agent={agent} terminal={terminal} />}
      {session && <Offer session={session} />}
      {session?.lease.value.recorded && !readOnly && (
        <p class="term-bar" role="status">
          What is typed here is recorded.
        </p>
      )}
      {/* The program may be drawn smaller than its window: whoever clicks beside it wants to type as well. */}
      <div class="term-view" ref={view} data-dark={isDark.value} onClick={() => !readOnly && session?.focus()}>
        <div class="term-host" ref={host} />
        {!running && <p class="term-off">It is {agent.state}: no terminal runs.</p>}
      </div>
      {session && <Flash session={session} />}
      {session && !readOnly && (keys || coarse.matches) && <Keys session={session} />}
      {session && !readOnly && !coarse.matches && title === undefined && (
        <button class="keys-toggle" aria-pressed={keys} onClick={() => showKeys(!keys)}>
          <Icon name="keyboard" />
          <span class="hidden">Row of keys</span>
        </button>
      )}
    </section>
  );
}

function Flash({ session }: { session: Session }) {
  return (
    <p class="term-flash" role="alert" hidden={session.refused.value === ""}>
      {session.refused.value}
    </p>
  );
}

/** Connection and keyboard, when there is something to say of them. */
function Bar({ session, agent, terminal }: { session: Session; agent: Agent; terminal: string }) {
  const status = session.status.value;
  useLeaseNews(session);
  if (status.is === "connecting" && status.tries > 0) {
    return (
      <p class="term-bar" role="status">
        <span class="spin small" /> {navigator.onLine ? "Reconnecting" : "No network"}. What you see is from before.
      </p>
    );
  }
  if (status.is === "ended" || status.is === "refused") {
    return (
      <p class="term-bar" role="status">
        {status.is === "refused" ? status.reason : "The program has ended."}
      </p>
    );
  }
  return <LeaseBar session={session} agent={agent} terminal={terminal} />;
}

function LeaseBar({ session, agent, terminal }: { session: Session; agent: Agent; terminal: string }) {
  const lease = session.lease.value;
  const me = who.value?.user ?? "";
  const holder = lease.holder?.user;
  /** By the daemon, which tells whoever has it, wherever that one looks. */
  const change = async (act: "take" | "request") => {
    try {
      await call("post /v1/agents/{agent}/lease", { path: { agent: agent.id }, body: { terminal, act } });
    } catch (error) {
      tell(error);
    }
  };
  const asking = lease.asked.filter((user) => user !== me);
  if (lease.yours && asking.length > 0) {
    return (
      <div class="term-bar" role="status">
        <b>{asking[0]}</b> asks for the keyboard. Type on to keep it.
        <button class="button" onClick={() => session.ask({ grant: { to: asking[0] ?? "" } })}>
          Give it
        </button>
      </div>
    );
  }
  if (!holder || holder === me) return null;
  const asked = lease.asked.includes(me);
  return (
    <div class="term-bar" role="status">
      <Icon name="keyboard" />
      <span class="grow">
        <b>{holder}</b> has the keyboard{lease.holder?.device ? ` (${lease.holder.device})` : ""}
      </span>
      <button class="button" disabled={asked} onClick={() => void change("request")}>
        {asked ? "Asked" : "Ask for it"}
      </button>
      {owns(agent, who.value) && (
        <button class="button" onClick={() => void change("take")}>
          Take it
        </button>
      )}
    </div>
  );
}

/** What the program would copy: nothing gets to the clipboard but by a tap. */
function Offer({ session }: { session: Session }) {
  const text = session.offered.value;
  if (text === "") return null;
  const put = () => {
    session.offered.value = "";
  };
  return (
    <div class="term-bar" role="status">
      <span class="grow term-offer">
        It wants to copy {size(new TextEncoder().encode(text).length)}
        <code>{text.slice(0, 200)}</code>
      </span>
      <button class="button" onClick={() => void copy(text, "Copied").then(put)}>
        Copy
      </button>
      <button class="icon-button" aria-label="Don't copy" onClick={put}>
        <Icon name="close" />
      </button>
    </div>
  );
}

/** Says it when the keyboard changes hands. */
function useLeaseNews(session: Session): void {
  const before = useRef({ yours: false, holder: "" });
  useSignalEffect(() => {
    const { yours, holder } = session.lease.value;
    const me = who.peek()?.user ?? "";
    const had = before.current;
    before.current = { yours, holder: holder?.user ?? "" };
    if (had.yours && !yours && holder && holder.user !== me) say(`${holder.user} has the keyboard now`, true);
    if (!had.yours && yours && had.holder !== "" && had.holder !== me) say("You have the keyboard");
    if (had.holder !== (holder?.user ?? "") && holder) announce(`${holder.user} has the keyboard`);
  });
}
