// What happened, and who did it: the audit log, with offers on top.

import "../style/pages.css";
import { useState } from "preact/hooks";
import type { AuditRow } from "../api/api.gen";
import { call } from "../api/client";
import { agents, rows } from "../live/store";
import { stamp } from "../model/time";
import { to } from "../route";
import { Shown, useLoad } from "../ui/load";
import { Name } from "../ui/state";
import { Offers } from "./offers";

const LIMIT = 200;

export function Activity() {
  const [people, only] = useState(false);
  const newest = rows.value[0]?.seq ?? 0;
  const log = useLoad(() => call("get /v1/audit", { query: { newest: true, limit: LIMIT } }), [newest]);
  return (
    <main class="page" id="main">
      <header class="bar">
        <h1>Activity</h1>
        <label class="check small">
          <input type="checkbox" checked={people} onChange={(event) => only(event.currentTarget.checked)} />
          Only people
        </label>
      </header>
      <div class="scroll" tabIndex={0}>
        <div class="body narrow">
          <Offers />
          <Shown of={log}>{(found) => <Log rows={people ? found.filter((row) => row.actor !== "wsm") : found} />}</Shown>
        </div>
      </div>
    </main>
  );
}

function Log({ rows: found }: { rows: AuditRow[] }) {
  const names = new Map(agents.value.map((agent) => [agent.id, agent.name]));
  if (found.length === 0) return <p class="empty">Nothing yet.</p>;
  return (
    <ol class="log-rows">
      {[...found].reverse().map((row) => {
        const name = names.get(row.subject);
        return (
          <li key={row.seq}>
            <time class="when" dateTime={new Date(row.at_ms).toISOString()}>
              {stamp(row.at_ms)}
            </time>
            <div class="grow">
              <p>{row.message}</p>
              <p class="muted small">
                <b class={row.actor === "wsm" ? "" : "soft"}>{row.actor}</b>
                {row.via && ` by ${row.via}`}
                {row.address && ` from ${row.address}`}, {row.verb}
                {name && (
                  <>
                    {" "}
                    <a class="link" href={to("agents", name)}>
                      <Name name={name} />
                    </a>
                  </>
                )}
              </p>
            </div>
          </li>
        );
      })}
    </ol>
  );
}
