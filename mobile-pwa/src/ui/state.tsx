// An agent's state and name as they look everywhere.

import type { Agent, State } from "../api/api.gen";
import { hue, label, parts, tone } from "../model/agents";
import { ago } from "../model/time";
import { now } from "../live/store";

/** A shape for each tone: colour is never alone. */
export function Dot({ state }: { state: State }) {
  return <span class={`dot ${tone(state)}`} aria-hidden="true" />;
}

export function StateLine({ agent }: { agent: Agent }) {
  return (
    <span class={`state ${tone(agent.state)}`}>
      {label(agent.state)}
      <time dateTime={agent.since}>{ago(agent.since, now.value)}</time>
    </span>
  );
}

/** A colour that its group has everywhere. */
export const tint = (group: string) => ({ "--hue": String(hue(group)) });

/** `shop / api / refactor`. */
export function Name({ name, without = 0 }: { name: string; without?: number }) {
  const shown = parts(name);
  const from = Math.min(without, shown.length - 1);
  return (
    <span class="name" style={tint(shown[0] ?? name)}>
      {shown.slice(from).map((part, at, all) => (
        <span key={at} class={at === all.length - 1 ? "leaf" : at + from === 0 ? "root" : "branch"}>
          {part}
          {at < all.length - 1 && <i aria-hidden="true"> / </i>}
        </span>
      ))}
    </span>
  );
}
