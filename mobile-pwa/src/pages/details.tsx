// What an agent is, why it is so, what holds it, and what it may reach.

import "../style/agent.css";
import "../style/pages.css";
import { useState } from "preact/hooks";
import type { Agent, AgentPolicy, Explanation, Layer, Shown as All } from "../api/api.gen";
import { call } from "../api/client";
import { now, who } from "../live/store";
import { owns } from "../model/rights";
import { since, size, stamp } from "../model/time";
import { Icon } from "../ui/icon";
import { Shown, useLoad } from "../ui/load";
import { tell } from "../ui/toast";

export function Details({ agent }: { agent: Agent }) {
  const path = { agent: agent.id };
  const explained = useLoad(() => call("get /v1/agents/{agent}/explain", { path }), [agent.id, agent.since]);
  const shown = useLoad(() => call("get /v1/agents/{agent}/show", { path }), [agent.id, agent.state]);
  const policy = useLoad(() => call("get /v1/agents/{agent}/policy", { path }), [agent.id]);
  return (
    <div class="scroll" tabIndex={0}>
      <div class="body">
        <section class="section" aria-label="Why">
          <h2>Why it is {agent.state}</h2>
          <Shown of={explained}>{(value) => <Why explained={value} />}</Shown>
        </section>
        <section class="section" aria-label="About">
          <h2>About</h2>
          <About agent={agent} />
        </section>
        <section class="section" aria-label="Network">
          <h2>Network</h2>
          <Shown of={policy}>{(value) => <Network agent={agent} policy={value} put={policy.put} />}</Shown>
        </section>
        <Shown of={shown}>{(value) => <Held shown={value} />}</Shown>
      </div>
    </div>
  );
}

function Why({ explained }: { explained: Explanation }) {
  return (
    <div class="panel">
      <div class="item">
        <div class="grow">
          <p>{explained.reason}</p>
          <p class="muted small">
            {explained.confidence}, {since(explained.since, now.value)}
          </p>
        </div>
      </div>
      {explained.evidence.slice(0, 8).map((event) => (
        <div key={event.seq} class="item small">
          <time class="when" dateTime={event.at}>
            {stamp(event.at)}
          </time>
          <p class="grow soft">{event.message}</p>
        </div>
      ))}
    </div>
  );
}

function About({ agent }: { agent: Agent }) {
  const pairs: Array<[string, string]> = [
    ["Owner", agent.owner],
    ["Account", agent.account],
    ["Template", agent.template],
    ["Kind", agent.kind],
    ["Repository", agent.repository],
    ["Branch", agent.branch],
    ["Started from", agent.base.slice(0, 12)],
    ["Workspace", agent.workspace],
    ["Made", stamp(agent.created)],
    ["Id", agent.id],
  ];
  return (
    <dl class="pairs">
      {pairs.map(([name, value]) => (
        <Pair key={name} name={name} value={value} />
      ))}
      {agent.sync.problem && <Pair name="Sync" value={agent.sync.problem} />}
      {agent.sync.diverged && <Pair name="Sync" value="branch and agent both moved: its commits are at refs/wsm/" />}
      {agent.unrecorded && <Pair name="Not recorded" value={agent.unrecorded} />}
    </dl>
  );
}

const Pair = ({ name, value }: { name: string; value: string }) => (
  <>
    <dt>{name}</dt>
    <dd>{value}</dd>
  </>
);

const EGRESS: Record<string, string> = {
  none: "It reaches nothing.",
  allow: "It reaches what is listed.",
  open: "It reaches any public address.",
};

function Network({ agent, policy, put }: { agent: Agent; policy: AgentPolicy; put: (policy: AgentPolicy) => void }) {
  const [rule, write] = useState("");
  const change = async (body: { allow?: string[]; deny?: string[] }) => {
    try {
      put(await call("post /v1/agents/{agent}/policy", { path: { agent: agent.id }, body }));
      write("");
    } catch (error) {
      tell(error);
    }
  };
  const mine = owns(agent, who.value) && policy.egress === "allow";
  return (
    <>
      <p class="soft">{EGRESS[policy.egress] ?? policy.egress}</p>
      {(policy.rules.length > 0 || policy.exposes.length > 0) && (
        <ul class="panel">
          {policy.rules.map(({ rule, group }) => (
            <li key={rule}>
              <span class="grow mono">{rule}</span>
              {group && <span class="pill">@{group}</span>}
              {mine && (
                <button class="icon-button" aria-label={`Deny ${rule}`} onClick={() => void change({ deny: [rule] })}>
                  <Icon name="close" />
                </button>
              )}
            </li>
          ))}
          {policy.exposes.map((exposed) => (
            <li key={exposed.name}>
              <span class="grow">
                {exposed.name}: <span class="mono">{exposed.host}</span>
              </span>
              <span class="muted">at {exposed.at}</span>
            </li>
          ))}
        </ul>
      )}
      {mine && (
        <form
          class="inline-form"
          aria-label="Allow a host"
          onSubmit={(event) => {
            event.preventDefault();
            void change({ allow: [rule.trim()] });
          }}
        >
          <label class="field wide">
            <span>Allow a host</span>
            <input type="text" required autocapitalize="off" spellcheck={false} placeholder="api.example.com:443" value={rule} onInput={(event) => write(event.currentTarget.value)} />
          </label>
          <button class="button">Allow</button>
        </form>
      )}
      {policy.traffic.length > 0 && (
        <ul class="panel" aria-label="Connections">
          {policy.traffic.map((host) => (
            <li key={host.target} class="small">
              <span class="grow mono">{host.target}</span>
              {host.denied > 0 && <span class="problem">{host.denied} denied</span>}
              <span class="muted">
                {host.allowed} × ↑{size(host.sent)} ↓{size(host.received)}
              </span>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

const LAYER: Record<string, string> = { enforced: "ready", reduced: "attention", absent: "trouble" };

function Held({ shown }: { shown: All }) {
  return (
    <>
      {(shown.credentials ?? []).length > 0 && (
        <section class="section" aria-label="Credentials">
          <h2>Credentials, put in outside of its sandbox</h2>
          <ul class="panel">
            {(shown.credentials ?? []).map((it) => (
              <li key={it.name}>
                <Icon name="key" />
                <div class="grow">
                  <p>
                    <b>{it.name}</b> <span class="soft">{it.hosts.join(", ")}</span>
                  </p>
                  <p class={it.ready ? "muted small" : "problem small"}>{it.status}</p>
                </div>
              </li>
            ))}
          </ul>
        </section>
      )}
      {shown.layers.length > 0 && (
        <section class="section" aria-label="Sandbox">
          <h2>What holds it, as the kernel enforces it now</h2>
          <ul class="panel">
            {shown.layers.map((layer) => (
              <OneLayer key={layer.layer} layer={layer} />
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

const OneLayer = ({ layer }: { layer: Layer }) => (
  <li>
    <span class={`dot ${LAYER[layer.status] ?? "off"}`} aria-hidden="true" />
    <div class="grow">
      <p>
        <b>{layer.layer}</b> <span class="soft">{layer.status}</span>
      </p>
      <p class="muted small">{layer.detail}</p>
    </div>
  </li>
);
