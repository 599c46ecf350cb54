// The list of agents: those that need somebody first, then group by group.

import { computed, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Agent } from "../api/api.gen";
import { agents, now, who } from "../live/store";
import { type Sorted, counts, label, sort, tone, within } from "../model/agents";
import { creates } from "../model/rights";
import { since } from "../model/time";
import { to } from "../route";
import { Icon } from "./icon";
import { Quick, heading } from "./question";
import { Dot, Name, StateLine, tint } from "./state";

export const search = signal("");
const sorted = computed<Sorted>(() => sort(agents.value, search.value));

/** What else one should know of it, in few words. */
export function notes(agent: Agent): string[] {
  const said: string[] = [];
  for (const service of agent.services) {
    if (["failed", "unhealthy", "backoff", "starting", "waiting"].includes(service.state)) {
      said.push(`${service.name} ${service.state}`);
    }
  }
  if (agent.sync.diverged) said.push("branch diverged");
  if (agent.sync.problem) said.push("sync problem");
  if (agent.unrecorded) said.push("not recorded");
  return said;
}

function Row({ agent, current }: { agent: Agent; current: string }) {
  const said = notes(agent);
  return (
    <li>
      <a class="row" href={to("agents", agent.name)} aria-current={current === agent.name ? "page" : undefined}>
        <Dot state={agent.state} />
        <span class="row-main">
          <span class="row-top">
            <Name name={agent.name} without={1} />
            <StateLine agent={agent} />
          </span>
          <span class="row-why">{within(agent, agent.reason)}</span>
          {said.length > 0 && (
            <span class="row-notes">
              {said.map((note) => (
                <span key={note} class="note">
                  {note}
                </span>
              ))}
            </span>
          )}
        </span>
      </a>
    </li>
  );
}

function Needing({ agent, current }: { agent: Agent; current: string }) {
  const [question] = agent.questions ?? [];
  return (
    <li class={`need ${tone(agent.state)}`} data-current={current === agent.name}>
      <a class="need-link" href={to("agents", agent.name)} aria-current={current === agent.name ? "page" : undefined}>
        <span class="row-top">
          <Dot state={agent.state} />
          <Name name={agent.name} />
          <time class="when" dateTime={agent.since}>
            {since(agent.since, now.value)}
          </time>
        </span>
        <span class="need-why">
          <b>{label(agent.state)}</b> {question ? heading(question) : within(agent, agent.reason)}
        </span>
      </a>
      <Quick agent={agent} />
    </li>
  );
}

export function Search() {
  return (
    <label class="search">
      <Icon name="search" />
      <span class="hidden">Search agents</span>
      <input
        type="search"
        placeholder="Search"
        autocomplete="off"
        enterKeyHint="search"
        data-shortcut="search"
        value={search.value}
        onInput={(event) => {
          search.value = event.currentTarget.value;
        }}
        onKeyDown={(event) => {
          if (event.key === "Escape") {
            search.value = "";
            event.currentTarget.blur();
          }
        }}
      />
    </label>
  );
}

/** `3 working, 1 idle`. */
export function Summary() {
  const told = counts(agents.value);
  const words = [
    [told.attention, told.attention === 1 ? "needs you" : "need you"],
    [told.trouble, "in trouble"],
    [told.busy, "working"],
    [told.ready, "idle"],
    [told.off, "off"],
  ] as const;
  const said = words.filter(([count]) => count > 0).map(([count, word]) => `${count} ${word}`);
  return (
    <p class="summary" role="status" aria-live="polite">
      {said.join(", ")}
    </p>
  );
}

export function List({ current }: { current: string }) {
  const { needing, groups } = sorted.value;
  const shown = agents.value.length > 0;
  useEffect(() => {
    // The first that is of use to anybody: the suites measure it.
    if (shown && performance.getEntriesByName("list").length === 0) performance.mark("list");
  }, [shown]);
  if (agents.value.length === 0) return <None />;
  if (needing.length === 0 && groups.length === 0) {
    return (
      <div class="empty">
        <h2>Nothing found</h2>
        <p>No agent has “{search.value}” in its name, state, reason or branch.</p>
      </div>
    );
  }
  return (
    <div class="list">
      {needing.length > 0 && (
        <section aria-label="Needs you">
          <h2 class="group-head attention">
            Needs you <span class="tally">{needing.length}</span>
          </h2>
          <ul class="needs">
            {needing.map((agent) => (
              <Needing key={agent.id} agent={agent} current={current} />
            ))}
          </ul>
        </section>
      )}
      {groups.map((group) => (
        <section key={group.name} aria-label={group.name || "Others"} style={group.name ? tint(group.name) : undefined}>
          {(group.name || groups.length > 1 || needing.length > 0) && (
            <h2 class={group.name ? "group-head" : "group-head plain"}>
              {group.name && <span class="swatch" aria-hidden="true" />}
              {group.name || "Others"} <span class="tally">{group.agents.length}</span>
            </h2>
          )}
          <ul class="rows">
            {group.agents.map((agent) => (
              <Row key={agent.id} agent={agent} current={current} />
            ))}
          </ul>
        </section>
      ))}
      <a class="list-foot" href="#/trash">
        Trash
      </a>
    </div>
  );
}

function None() {
  return (
    <div class="empty">
      <h2>No agents yet</h2>
      <p>
        {creates(who.value) ? <a class="link" href="#/new">Make one here</a> : "Start one"}
        {", or with "}<code>wsm new --template shell</code> in a repository on that machine.
      </p>
      <a class="link" href="#/trash">
        Trash
      </a>
    </div>
  );
}
