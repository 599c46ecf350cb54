// Services with their logs, and ports.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Agent, Port, Service, ServiceState } from "../api/api.gen";
import { call } from "../api/client";
import { now } from "../live/store";
import type { Tone } from "../model/agents";
import { drives } from "../live/shares";
import { ago } from "../model/time";
import { Icon } from "../ui/icon";
import { copy, tell } from "../ui/toast";
import { Portal } from "./ports";

const TONES: Record<ServiceState, Tone> = {
  waiting: "busy",
  initializing: "busy",
  starting: "busy",
  ready: "ready",
  unhealthy: "trouble",
  backoff: "trouble",
  failed: "trouble",
  stopping: "off",
  stopped: "off",
};

export function Services({ agent }: { agent: Agent }) {
  const [log, show] = useState<string | undefined>(undefined);
  return (
    <div class="scroll" tabIndex={0}>
      <div class="body">
        {agent.services.length === 0 && agent.ports.length === 0 && (
          <div class="empty">
            <h2>No services</h2>
            <p>The template {agent.template} has none, and no ports.</p>
          </div>
        )}
        {agent.services.length > 0 && (
          <section class="section" aria-label="Services">
            <h2>Services</h2>
            <ul class="panel">
              {agent.services.map((service) => (
                <One key={service.name} agent={agent} service={service} open={log === service.name} show={show} />
              ))}
            </ul>
          </section>
        )}
        {agent.ports.length > 0 && <Ports agent={agent} />}
        <section class="section" aria-label="Other logs">
          <h2>Other logs</h2>
          <ul class="panel">
            {["setup", "egress"].map((name) => (
              <li key={name} class="stacked">
                <div class="line">
                  <div class="grow">{name === "setup" ? "Setup" : "What it reached on the network"}</div>
                  <button class="button quiet" aria-expanded={log === name} onClick={() => show(log === name ? undefined : name)}>
                    Log
                  </button>
                </div>
                {log === name && <Log agent={agent} service={name} />}
              </li>
            ))}
          </ul>
        </section>
      </div>
    </div>
  );
}

interface OneProps {
  agent: Agent;
  service: Service;
  open: boolean;
  show: (name: string | undefined) => void;
}

function One({ agent, service, open, show }: OneProps) {
  const runs = !["stopped", "failed"].includes(service.state);
  const act = async (verb: "start" | "stop" | "restart") => {
    try {
      await call(`post /v1/agents/{agent}/services/{service}/${verb}`, { path: { agent: agent.id, service: service.name } });
    } catch (error) {
      tell(error);
    }
  };
  return (
    <li class="stacked">
      <div class="line">
        <span class={`dot ${TONES[service.state]}`} aria-hidden="true" />
        <div class="grow">
          <p>
            <b>{service.name}</b> <span class={`state ${TONES[service.state]}`}>{service.state}</span>{" "}
            <span class="when">{ago(service.since, now.value)}</span>
            {service.restarts > 0 && <span class="note">restarted {service.restarts}×</span>}
          </p>
          <p class="muted small">{service.reason}</p>
        </div>
        {drives(agent) && (
          <>
            {runs && (
              <button class="icon-button" aria-label={`Restart ${service.name}`} onClick={() => void act("restart")}>
                <Icon name="restart" />
              </button>
            )}
            <button
              class="icon-button"
              aria-label={runs ? `Stop ${service.name}` : `Start ${service.name}`}
              onClick={() => void act(runs ? "stop" : "start")}
            >
              <Icon name={runs ? "stop" : "play"} />
            </button>
          </>
        )}
        <button class="button quiet" aria-expanded={open} onClick={() => show(open ? undefined : service.name)}>
          Log
        </button>
      </div>
      {open && <Log agent={agent} service={service.name} />}
    </li>
  );
}

const LINES = 300;
const EVERY_MS = 1_500;
/** Characters that are kept; what is older scrolls away. */
const KEPT = 400_000;

function Log({ agent, service }: { agent: Agent; service: string }) {
  const [text, put] = useState<string | undefined>(undefined);
  const [error, fail] = useState("");
  const view = useRef<HTMLPreElement>(null);
  useEffect(() => {
    let from: number | undefined;
    let over = false;
    let timer = 0;
    const ask = async () => {
      try {
        const query = from === undefined ? { service, lines: LINES } : { service, from };
        const part = await call("get /v1/agents/{agent}/log", { path: { agent: agent.id }, query });
        if (over) return;
        from = part.next;
        put((before = "") => (part.text ? (before + part.text).slice(-KEPT) : before));
        fail("");
        if (part.live) timer = window.setTimeout(() => void ask(), part.text.length > 30_000 ? 0 : EVERY_MS);
      } catch (why) {
        if (!over) fail(why instanceof Error ? why.message : String(why));
      }
    };
    void ask();
    return () => {
      over = true;
      window.clearTimeout(timer);
    };
  }, [agent.id, service]);
  useEffect(() => {
    const it = view.current;
    if (it && it.scrollHeight - it.scrollTop - it.clientHeight < 200) it.scrollTop = it.scrollHeight;
  }, [text]);
  if (error) return <p class="problem">{error}</p>;
  return (
    <pre class="log" ref={view} tabIndex={0} aria-label={`Log of ${service}`}>
      {text === undefined ? "…" : text || "Nothing yet."}
    </pre>
  );
}

function Ports({ agent }: { agent: Agent }) {
  return (
    <section class="section" aria-label="Ports">
      <h2>Ports</h2>
      <ul class="panel">
        {agent.ports.map((port) => (
          <PortRow key={port.name} agent={agent} port={port} />
        ))}
      </ul>
    </section>
  );
}

function PortRow({ agent, port }: { agent: Agent; port: Port }) {
  return (
    <li>
      <Icon name="ports" />
      <div class="grow">
        <p>
          <b>{port.name}</b> <span class="mono soft">{port.inside}</span>
        </p>
        <p class="muted small">{port.outside ? `on the host: ${port.url || port.outside}` : "not published"}</p>
      </div>
      {port.url && (
        <button class="icon-button" aria-label={`Copy the address of ${port.name}`} onClick={() => void copy(port.url)}>
          <Icon name="copy" />
        </button>
      )}
      <Portal agent={agent} port={port} />
    </li>
  );
}
