import type { Agent } from "../api/api.gen"; export function Details({ agent }: { agent: Agent }) { return <div class="empty">{agent.name}</div>; }
