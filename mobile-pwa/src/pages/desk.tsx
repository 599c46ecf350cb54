// Terminals of several agents, side by side.

import { computed, signal } from "@preact/signals";
import type { Agent } from "../api/api.gen";
import { drives } from "../live/shares";
import { agents, known } from "../live/store";
import { needsYou, sort } from "../model/agents";
import { PLACES_MAX, type Place, add, columns, first, others, same, standing } from "../model/desk";
import { to } from "../route";
import "../style/agent.css";
import "../style/desk.css";
import { TerminalPane } from "../terminal/pane";
import { Quick } from "../ui/question";
import { Dot, Name, StateLine } from "../ui/state";

const KEY = "wsm.desk";

function read(): Place[] | undefined {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "null") as Place[] | null;
    return Array.isArray(found) ? found.slice(0, PLACES_MAX) : undefined;
  } catch {
    return undefined;
  }
}

/** What somebody chose on this device; nothing: what there is. */
const chosen = signal<Place[] | undefined>(read());

const ordered = computed(() => {
  const { needing, groups } = sort(agents.value);
  return [...needing, ...groups.flatMap((group) => group.agents)];
});

function choose(places: Place[]): void {
  chosen.value = places;
  localStorage.setItem(KEY, JSON.stringify(places));
}

/** The first choice stays as it is while states change: no tile jumps under anybody's hands. */
let begun: Place[] | undefined;

function shown(): Place[] {
  if (chosen.value) return standing(chosen.value, known.value);
  if (!begun || begun.length === 0) begun = first(ordered.value);
  return standing(begun, known.value);
}

export function Desk() {
  const places = shown();
  const free = others(ordered.value, places);
  return (
    <main class="page desk" id="main">
      <header class="bar">
        <h1>Desk</h1>
        {free.length > 0 && places.length < PLACES_MAX && (
          <label class="add">
            <span class="hidden">Add a terminal</span>
            <select
              class="short"
              value=""
              onChange={(event) => {
                const place = free[Number(event.currentTarget.value)];
                event.currentTarget.value = "";
                if (place) choose(add(places, place));
              }}
            >
              <option value="">Add a terminal…</option>
              {free.map((place, at) => (
                <option key={`${place.agent} ${place.terminal}`} value={at}>
                  {words(place)}
                </option>
              ))}
            </select>
          </label>
        )}
      </header>
      {places.length === 0 ? (
        <div class="empty">
          <h2>No terminal stands here</h2>
          <p>Add those that you want to see side by side; this device remembers them.</p>
        </div>
      ) : (
        <div class="desk-grid" style={{ "--columns": String(columns(places.length)) }}>
          {places.map((place) => (
            <Tile key={`${place.agent} ${place.terminal}`} place={place} close={() => choose(places.filter((it) => !same(it, place)))} />
          ))}
        </div>
      )}
    </main>
  );
}

function words({ agent, terminal }: Place): string {
  const found = known.value.get(agent);
  return found && found.terminals.length > 1 ? `${found.name}, ${terminal}` : (found?.name ?? agent);
}

function Tile({ place, close }: { place: Place; close: () => void }) {
  const agent = known.value.get(place.agent);
  if (!agent) return null;
  return (
    <div class={needsYou(agent) ? "tile needed" : "tile"}>
      <TerminalPane agent={agent} terminal={place.terminal} readOnly={!drives(agent)} title={words(place)} head={<Head agent={agent} place={place} />} close={close} />
      {agent.questions && agent.questions.length > 0 && <Quick agent={agent} />}
    </div>
  );
}

const Head = ({ agent, place }: { agent: Agent; place: Place }) => (
  <a class="tile-head" href={`${to("agents", agent.name, "terminal")}?t=${encodeURIComponent(place.terminal)}`}>
    <Dot state={agent.state} />
    <Name name={agent.name} />
    {agent.terminals.length > 1 && <span class="mono muted">{place.terminal}</span>}
    <StateLine agent={agent} />
  </a>
);
