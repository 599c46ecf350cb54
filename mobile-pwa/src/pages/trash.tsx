// Agents that were put away: to bring back, or to delete for good.

import type { Agent } from "../api/api.gen";
import { call } from "../api/client";
import { learn, now, rows, who } from "../live/store";
import { owns } from "../model/rights";
import { since } from "../model/time";
import { go, to } from "../route";
import "../style/pages.css";
import { confirm } from "../ui/dialog";
import { Icon } from "../ui/icon";
import { Shown, useLoad } from "../ui/load";
import { Name } from "../ui/state";
import { say, tell } from "../ui/toast";

export function Trash() {
  const newest = rows.value.find((row) => row.verb.startsWith("agent."))?.seq ?? 0;
  const all = useLoad(() => call("get /v1/agents", { query: { trashed: true } }), [newest], 0, true);
  return (
    <main class="page" id="main">
      <header class="bar">
        <a class="icon-button" href="#/" aria-label="All agents">
          <Icon name="back" />
        </a>
        <h1>Trash</h1>
      </header>
      <div class="scroll" tabIndex={0}>
        <div class="body narrow">
          <Shown of={all}>{(found) => <Rows agents={found.filter((agent) => agent.trashed)} again={all.again} />}</Shown>
        </div>
      </div>
    </main>
  );
}

function Rows({ agents, again }: { agents: Agent[]; again: () => void }) {
  if (agents.length === 0) return <p class="empty">The trash is empty.</p>;
  return (
    <ul class="panel section">
      {agents.map((agent) => (
        <li key={agent.id}>
          <div class="grow">
            <p>
              <Name name={agent.name} />
            </p>
            <p class="muted small">
              {agent.reason}, {since(agent.since, now.value)}
            </p>
          </div>
          {owns(agent, who.value) && (
            <>
              <button class="button quiet danger" onClick={() => void purge(agent, again)}>
                Delete
              </button>
              <button class="button" onClick={() => void restore(agent)}>
                Restore
              </button>
            </>
          )}
        </li>
      ))}
    </ul>
  );
}

async function restore(agent: Agent): Promise<void> {
  try {
    learn(await call("post /v1/agents/{agent}/restore", { path: { agent: agent.id } }));
    say(`${agent.name} is back`);
    go(to("agents", agent.name));
  } catch (error) {
    tell(error);
  }
}

async function purge(agent: Agent, again: () => void): Promise<void> {
  const text = "Its workspace, its branch and its recordings are deleted. What was not merged is lost.";
  if (!(await confirm(`Delete ${agent.name} for good?`, text, "Delete it", true))) return;
  try {
    await call("delete /v1/agents/{agent}", { path: { agent: agent.id }, query: { purge: true } });
    say(`${agent.name} is deleted`);
  } catch (error) {
    tell(error);
  }
  again();
}
