// What happened, and who did it: the audit log, with offers on top.

import "../style/pages.css";
import { useState } from "preact/hooks";
import type { AuditRow } from "../api/api.gen";
import { call } from "../api/client";
import { agents, rows } from "../live/store";
import { within } from "../model/agents";
import { stamp } from "../model/time";
import { to } from "../route";
import { Shown, useLoad } from "../ui/load";
import { Name } from "../ui/state";
import { Offers } from "./offers";

const LIMIT = 200;

export function Activity() {
  const [people, only] = useState(false);
  const [subject, about] = useState("");
  const newest = rows.value[0]?.seq ?? 0;
  const log = useLoad(() => call("get /v1/audit", { query: { newest: true, limit: LIMIT, subject: subject || null } }), [newest, subject], 0, true);
  return (
    <main class="page" id="main">
      <header class="bar">
        <h1>Activity</h1>
      </header>
      <div class="scroll" tabIndex={0}>
        <div class="body narrow">
          <Offers />
          <div class="filters">
            <label class="about">
              <span class="hidden">Of which agent</span>
              <select value={subject} onChange={(event) => about(event.currentTarget.value)}>
                <option value="">All agents</option>
                {[...agents.value].sort((a, b) => a.name.localeCompare(b.name)).map((agent) => (
                  <option key={agent.id} value={agent.id}>
                    {agent.name}
                  </option>
                ))}
              </select>
            </label>
            <label class="check small">
              <input type="checkbox" checked={people} onChange={(event) => only(event.currentTarget.checked)} />
              Only people
            </label>
          </div>
          <Shown of={log}>{(found) => <Log rows={people ? found.filter((row) => row.actor !== "wsm") : found} />}</Shown>
        </div>
      </div>
    </main>
  );
}

function Log({ rows: all }: { rows: AuditRow[] }) {
  const known = new Map(agents.value.map((agent) => [agent.id, agent]));
  if (all.length === 0) return <p class="empty">Nothing yet.</p>;
  return (
    <ol class="log-rows">
      {[...all].reverse().map((row) => {
        const found = known.get(row.subject);
        const name = found?.name;
        return (
          <li key={row.seq}>
            <time class="when" dateTime={new Date(row.at_ms).toISOString()}>
              {stamp(row.at_ms)}
            </time>
            <div class="grow">
              <p class="log-who">
                <b class={row.actor === "wsm" ? "muted" : ""}>{row.actor}</b> <span class="soft">{row.verb.replaceAll(/[.-]/g, " ")}</span>{" "}
                {name && (
                  <a class="link" href={to("agents", name)}>
                    <Name name={name} />
                  </a>
                )}
              </p>
              <p class="log-what">{found ? within(found, row.message) : row.message}</p>
              {row.via && (
                <p class="muted small">
                  by {row.via}
                  {row.address && ` from ${row.address}`}
                </p>
              )}
            </div>
          </li>
        );
      })}
    </ol>
  );
}
