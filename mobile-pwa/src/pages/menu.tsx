// What can be done with an agent as a whole.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Agent } from "../api/api.gen";
import { call } from "../api/client";
import { learn, who } from "../live/store";
import { owns } from "../model/rights";
import { go } from "../route";
import { confirm } from "../ui/dialog";
import { Icon, type IconName } from "../ui/icon";
import { say, tell } from "../ui/toast";

type Act = "start" | "stop" | "restart" | "pause" | "resume";

const RUNS = ["setting-up", "starting", "working", "blocked", "idle"];

function acts(agent: Agent): Array<{ act: Act; label: string; icon: IconName }> {
  if (agent.state === "paused") return [{ act: "resume", label: "Resume", icon: "play" }];
  if (RUNS.includes(agent.state)) {
    return [
      { act: "pause", label: "Pause", icon: "pause" },
      { act: "restart", label: "Restart", icon: "restart" },
      { act: "stop", label: "Stop", icon: "stop" },
    ];
  }
  if (["stopped", "failed", "lost"].includes(agent.state)) return [{ act: "start", label: "Start", icon: "play" }];
  return [];
}

export function Menu({ agent }: { agent: Agent }) {
  const [open, show] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return undefined;
    const away = (event: Event) => {
      if (event instanceof KeyboardEvent ? event.key === "Escape" : !box.current?.contains(event.target as Node)) show(false);
    };
    document.addEventListener("pointerdown", away);
    document.addEventListener("keydown", away);
    box.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus();
    return () => {
      document.removeEventListener("pointerdown", away);
      document.removeEventListener("keydown", away);
    };
  }, [open]);
  const run = async (act: Act) => {
    show(false);
    try {
      learn(await call(`post /v1/agents/{agent}/${act}`, { path: { agent: agent.id } }));
    } catch (error) {
      tell(error);
    }
  };
  return (
    <div class="menu" ref={box}>
      <button class="icon-button" aria-label={`Actions for ${agent.name}`} aria-haspopup="menu" aria-expanded={open} onClick={() => show(!open)}>
        <Icon name="more" />
      </button>
      {open && (
        <div class="menu-list" role="menu" onKeyDown={move}>
          {acts(agent).map(({ act, label, icon }) => (
            <button key={act} role="menuitem" onClick={() => void run(act)}>
              <Icon name={icon} /> {label}
            </button>
          ))}
          {owns(agent, who.value) && (
            <button role="menuitem" class="problem" onClick={() => (show(false), void remove(agent))}>
              <Icon name="trash" /> Put into the trash
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function move(event: KeyboardEvent): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const list = event.currentTarget as HTMLElement;
  const items = [...list.querySelectorAll<HTMLElement>("[role=menuitem]")];
  const at = items.indexOf(document.activeElement as HTMLElement);
  items[(at + step + items.length) % items.length]?.focus();
}

async function remove(agent: Agent): Promise<void> {
  const text = "It is stopped. Its work stays, and it can be restored from the trash.";
  if (!(await confirm(`Put ${agent.name} into the trash?`, text, "Put into the trash", true))) return;
  try {
    await call("delete /v1/agents/{agent}", { path: { agent: agent.id } });
    const undo = async () => learn(await call("post /v1/agents/{agent}/restore", { path: { agent: agent.id } }));
    say(`${agent.name} is in the trash`, false, { label: "Undo", act: () => void undo().catch(tell) });
    go("#/");
  } catch (error) {
    tell(error);
  }
}
