// Terminals of one agent, side by side where there is room.

import { useState } from "preact/hooks";
import type { Agent } from "../api/api.gen";
import { call } from "../api/client";
import { drives } from "../live/shares";
import { go, to } from "../route";
import { wide } from "../settings";
import { chosen } from "../terminal/chosen";
import { Compose } from "../terminal/compose";
import { TerminalPane } from "../terminal/pane";
import { Icon } from "../ui/icon";
import { tell } from "../ui/toast";

export function Terminals({ agent }: { agent: Agent }) {
  const [split, setSplit] = useState(false);
  const writes = drives(agent);
  const current = chosen(agent);
  const several = agent.terminals.length > 1;
  const tiled = split && several && wide.value;
  return (
    <>
      {(several || (writes && wide.value)) && <Strip agent={agent} current={current} split={split} setSplit={setSplit} tiled={tiled} />}
      {tiled ? (
        <div class="tiles">
          {agent.terminals.map((terminal) => (
            <TerminalPane key={terminal} agent={agent} terminal={terminal} title={terminal} readOnly={!writes} />
          ))}
        </div>
      ) : (
        <TerminalPane key={current} agent={agent} terminal={current} readOnly={!writes} />
      )}
      {writes && !tiled && <Compose key={`${agent.id} ${current}`} agent={agent} terminal={current} />}
    </>
  );
}

interface StripProps {
  agent: Agent;
  current: string;
  split: boolean;
  tiled: boolean;
  setSplit: (split: boolean) => void;
}

function Strip({ agent, current, split, tiled, setSplit }: StripProps) {
  const open = async () => {
    try {
      const { terminal } = await call("post /v1/agents/{agent}/terminals", { path: { agent: agent.id }, body: { cols: 100, rows: 30 } });
      go(`${to("agents", agent.name, "terminal")}?t=${encodeURIComponent(terminal)}`, { replace: true });
    } catch (error) {
      tell(error);
    }
  };
  return (
    <div class="term-strip" role="group" aria-label="Terminals">
      {agent.terminals.map((terminal) => (
        <a
          key={terminal}
          href={`${to("agents", agent.name, "terminal")}?t=${encodeURIComponent(terminal)}`}
          aria-current={!tiled && terminal === current ? "true" : undefined}
          onClick={() => setSplit(false)}
        >
          {terminal}
        </a>
      ))}
      {drives(agent) && (
        <button class="icon-button" aria-label="New shell" title="New shell" onClick={() => void open()}>
          <Icon name="plus" />
        </button>
      )}
      {agent.terminals.length > 1 && wide.value && (
        <button class="icon-button" aria-label="Side by side" title="Side by side" aria-pressed={split} onClick={() => setSplit(!split)}>
          <Icon name="desk" />
        </button>
      )}
    </div>
  );
}
