// What an agent's terminal shows as text, and a field to write: without xterm.js, for phones.

import type { Agent } from "../api/api.gen";
import { drives } from "../live/shares";
import { chosen } from "../terminal/chosen";
import { Compose } from "../terminal/compose";
import { TextView } from "../terminal/text";

export function Text({ agent }: { agent: Agent }) {
  const current = chosen(agent);
  return (
    <>
      <TextView key={current} agent={agent} terminal={current} />
      {drives(agent) && <Compose key={agent.id} agent={agent} terminal={current} />}
    </>
  );
}
