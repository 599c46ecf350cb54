// Text that another app shared: for which agent?

import { agents } from "../live/store";
import { draft, keepDraft } from "../live/drafts";
import { drives } from "../live/shares";
import { shared, taken } from "../live/shared";
import { who } from "../live/store";
import { creates } from "../model/rights";
import { go, to } from "../route";
import "../style/pages.css";
import { Icon } from "../ui/icon";
import { Dot, Name, StateLine } from "../ui/state";

/** What is written to has a program that reads. */
const RUNS = ["setting-up", "starting", "working", "blocked", "idle", "paused"];

export function SharePage() {
  const open = agents.value.filter((agent) => !agent.trashed && RUNS.includes(agent.state) && drives(agent)).sort((a, b) => a.name.localeCompare(b.name));
  const give = (id: string, name: string) => {
    const before = draft(id);
    keepDraft(id, before ? `${before}\n${taken()}` : taken());
    go(to("agents", name), { replace: true });
  };
  return (
    <main class="page" id="main">
      <header class="bar">
        <a class="icon-button" href="#/" aria-label="All agents">
          <Icon name="back" />
        </a>
        <h1>For which agent?</h1>
      </header>
      <div class="scroll" tabIndex={0}>
        <div class="body narrow">
          {shared.value === "" ? (
            <p class="empty">Nothing was shared, or it was given to an agent already.</p>
          ) : (
            <>
              <label class="field section">
                <span>What was shared</span>
                <textarea
                  rows={5}
                  value={shared.value}
                  onInput={(event) => {
                    shared.value = event.currentTarget.value;
                  }}
                />
                <small>It is put into the agent’s message field. You send it.</small>
              </label>
              <ul class="panel section" aria-label="Agents">
                {open.length === 0 && <li class="muted">No agent runs that you may write to.</li>}
                {open.map((agent) => (
                  <li key={agent.id} class="pick">
                    <button onClick={() => give(agent.id, agent.name)}>
                      <Dot state={agent.state} />
                      <Name name={agent.name} />
                      <StateLine agent={agent} />
                    </button>
                  </li>
                ))}
              </ul>
              {creates(who.value) && (
                <a class="button" href="#/new">
                  <Icon name="plus" /> A new agent with this task
                </a>
              )}
            </>
          )}
        </div>
      </div>
    </main>
  );
}
