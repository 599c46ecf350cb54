// Which terminal of an agent is looked at.

import type { Agent } from "../api/api.gen";
import { route } from "../route";

const MAIN = "main";

export function chosen(agent: Agent): string {
  const asked = route.value.query.get("t");
  return asked && agent.terminals.includes(asked) ? asked : (agent.terminals[0] ?? MAIN);
}
