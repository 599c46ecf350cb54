// Who is at an agent, who may be, and handing it over.

import "../style/agent.css";
import "../style/pages.css";
import { useState } from "preact/hooks";
import type { Agent, Presence, Share } from "../api/api.gen";
import { call } from "../api/client";
import { drives, learnShares } from "../live/shares";
import { now, who } from "../live/store";
import { owns } from "../model/rights";
import { since, stamp } from "../model/time";
import { confirm } from "../ui/dialog";
import { Icon } from "../ui/icon";
import { Shown, useLoad } from "../ui/load";
import { say, tell } from "../ui/toast";
import { Links } from "./links";
import { Offers } from "./offers";

const EVERY_MS = 5_000;

export function People({ agent }: { agent: Agent }) {
  const shares = useLoad(() => learnShares(agent), [agent.id]);
  const presence = useLoad(() => call("get /v1/agents/{agent}/who", { path: { agent: agent.id } }), [agent.id, agent.state], EVERY_MS);
  return (
    <div class="scroll" tabIndex={0}>
      <div class="body">
        <Offers agent={agent} />
        <section class="section" aria-label="Here now">
          <h2>Here now</h2>
          <Shown of={presence}>{(value) => <Here agent={agent} presence={value} again={presence.again} />}</Shown>
        </section>
        <section class="section" aria-label="Shared with">
          <h2>Shared with</h2>
          <Shown of={shares}>{(value) => <Shares agent={agent} shares={value} again={shares.again} />}</Shown>
        </section>
        {owns(agent, who.value) && (
          <>
            <ShareForm agent={agent} done={shares.again} />
            <Links agent={agent} />
            <HandoffForm agent={agent} />
          </>
        )}
      </div>
    </div>
  );
}

function Here({ agent, presence, again }: { agent: Agent; presence: Presence; again: () => void }) {
  const change = async (terminal: string, act: "request" | "release" | "take" | "grant", to?: string) => {
    try {
      await call("post /v1/agents/{agent}/lease", { path: { agent: agent.id }, body: { terminal, act, to: to ?? null } });
      again();
    } catch (error) {
      tell(error);
    }
  };
  const held = presence.leases.filter((lease) => lease.holder || lease.asked.length > 0);
  return (
    <ul class="panel">
      {presence.viewers.length === 0 && held.length === 0 && <li class="muted">Nobody looks at its terminals.</li>}
      {presence.viewers.map((viewer, at) => (
        <li key={at}>
          <span class={viewer.visible ? "dot ready" : "dot off"} aria-hidden="true" />
          <div class="grow">
            <p>
              <b>{viewer.user || "root"}</b> {viewer.device && <span class="soft">{viewer.device}</span>}
            </p>
            <p class="muted small">
              {viewer.terminal}, {viewer.cols}×{viewer.rows}, since {since(viewer.since, now.value)}
              {viewer.visible ? "" : ", not looking"}
              {viewer.read_only ? ", only watches" : ""}
            </p>
          </div>
          {viewer.holds && <span class="pill">has the keyboard</span>}
        </li>
      ))}
      {held.map((lease) => (
        <li key={lease.terminal}>
          <Icon name="keyboard" />
          <div class="grow">
            <p>
              {lease.terminal}: {lease.holder ? <b>{lease.holder}</b> : "free"}
            </p>
            {lease.asked.length > 0 && <p class="muted small">asked for by {lease.asked.join(", ")}</p>}
          </div>
          {lease.holder === who.value?.user && (
            <>
              {lease.asked.map((user) => (
                <button key={user} class="button" onClick={() => void change(lease.terminal, "grant", user)}>
                  Give to {user}
                </button>
              ))}
              <button class="button quiet" onClick={() => void change(lease.terminal, "release")}>
                Let go
              </button>
            </>
          )}
          {lease.holder && lease.holder !== who.value?.user && drives(agent) && (
            <button class="button" onClick={() => void change(lease.terminal, owns(agent, who.value) ? "take" : "request")}>
              {owns(agent, who.value) ? "Take" : "Ask"}
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}

function Shares({ agent, shares, again }: { agent: Agent; shares: Share[]; again: () => void }) {
  const end = async (user: string) => {
    if (!(await confirm(`End the share with ${user}?`, "Their windows on this agent close at once.", "End it", true))) return;
    try {
      await call("delete /v1/agents/{agent}/shares/{user}", { path: { agent: agent.id, user } });
      again();
    } catch (error) {
      tell(error);
    }
  };
  return (
    <ul class="panel">
      {shares.map((share) => (
        <li key={share.user}>
          <Icon name="people" />
          <div class="grow">
            <p>
              <b>{share.user}</b> <span class="soft">{share.role}</span>
            </p>
            {share.role !== "owner" && (
              <p class="muted small">
                by {share.by}, {since(share.since, now.value)}
                {share.expires && `, ${share.expired ? "ended" : "until"} ${stamp(share.expires)}`}
              </p>
            )}
          </div>
          {share.role !== "owner" && (owns(agent, who.value) || share.user === who.value?.user) && (
            <button class="icon-button" aria-label={`End the share with ${share.user}`} onClick={() => void end(share.user)}>
              <Icon name="close" />
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}

const LENGTHS: ReadonlyArray<[string, number]> = [
  ["until it is ended", 0],
  ["for an hour", 3600],
  ["for a day", 86_400],
  ["for a week", 604_800],
];

function ShareForm({ agent, done }: { agent: Agent; done: () => void }) {
  const [user, setUser] = useState("");
  const [role, setRole] = useState("viewer");
  const [seconds, setSeconds] = useState(0);
  const submit = async (event: Event) => {
    event.preventDefault();
    try {
      const body = { user: user.trim(), role, ...(seconds > 0 ? { expires_s: seconds } : {}) };
      await call("post /v1/agents/{agent}/shares", { path: { agent: agent.id }, body });
      say(`Shared with ${user.trim()}`);
      setUser("");
      done();
    } catch (error) {
      tell(error);
    }
  };
  return (
    <form class="inline-form" aria-label="Share" onSubmit={(event) => void submit(event)}>
      <label class="field">
        <span>Share with</span>
        <input type="text" required autocapitalize="off" spellcheck={false} placeholder="user" value={user} onInput={(event) => setUser(event.currentTarget.value)} />
      </label>
      <label class="field">
        <span>As</span>
        <select value={role} onChange={(event) => setRole(event.currentTarget.value)}>
          <option value="viewer">viewer: sees</option>
          <option value="approver">approver: answers its questions</option>
          <option value="driver">driver: types</option>
        </select>
      </label>
      <label class="field">
        <span>How long</span>
        <select value={seconds} onChange={(event) => setSeconds(Number(event.currentTarget.value))}>
          {LENGTHS.map(([name, value]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <button class="button">Share</button>
    </form>
  );
}

function HandoffForm({ agent }: { agent: Agent }) {
  const [to, setTo] = useState("");
  const [note, setNote] = useState("");
  const submit = async (event: Event) => {
    event.preventDefault();
    try {
      const offer = await call("post /v1/agents/{agent}/handoff", { path: { agent: agent.id }, body: { to: to.trim(), note } });
      const missing = offer.missing.length > 0 ? ` They lack: ${offer.missing.join(", ")}.` : "";
      say(`Offered to ${offer.to}; nothing changes until they accept.${missing}`);
      setTo("");
      setNote("");
    } catch (error) {
      tell(error);
    }
  };
  return (
    <section class="section" aria-label="Hand over">
      <h2>Hand over</h2>
      <form class="inline-form" onSubmit={(event) => void submit(event)}>
        <label class="field">
          <span>To</span>
          <input type="text" required autocapitalize="off" spellcheck={false} placeholder="user" value={to} onInput={(event) => setTo(event.currentTarget.value)} />
        </label>
        <label class="field wide">
          <span>Note</span>
          <input type="text" placeholder="What they should know" value={note} onInput={(event) => setNote(event.currentTarget.value)} />
        </label>
        <button class="button">Offer</button>
      </form>
    </section>
  );
}
