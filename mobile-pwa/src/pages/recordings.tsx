import type { Agent } from "../api/api.gen"; export function Recordings({ agent }: { agent: Agent }) { return <div class="empty">{agent.name}</div>; }
