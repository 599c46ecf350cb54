// Writing to an agent: a field of one's own, with a queue for what has to wait.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Agent } from "../api/api.gen";
import { Refusal, call } from "../api/client";
import { draft, keepDraft } from "../live/drafts";
import { way } from "../live/store";
import { Icon } from "../ui/icon";
import { say, tell } from "../ui/toast";
import * as queues from "./queue";

const send = (agent: string, terminal: string, text: string) =>
  call("post /v1/agents/{agent}/send", { path: { agent }, body: { text, enter: true, terminal } });

const WHEN: Record<queues.Waiting["when"], string> = {
  idle: "when it is idle",
  soon: "when wsm is there",
  unsure: "may have arrived",
};

export function Compose({ agent, terminal }: { agent: Agent; terminal: string }) {
  const [text, put] = useState(() => draft(agent.id));
  const write = (text: string) => {
    put(text);
    keepDraft(agent.id, text);
  };
  const [busy, work] = useState(false);
  const [queue, change] = useQueue(agent, terminal);
  const reachable = way.value === "live";
  const submit = async (later: boolean) => {
    const message = text.trim();
    if (message === "" || busy) return;
    if (later || !reachable) {
      change((before) => queues.add(before, message, later ? "idle" : "soon"));
      write("");
      return;
    }
    work(true);
    try {
      await send(agent.id, terminal, message);
      write("");
    } catch (error) {
      tell(error);
    } finally {
      work(false);
    }
  };
  const can = text.trim() !== "" && !busy;
  return (
    <>
      <Queue queue={queue} change={change} agent={agent} terminal={terminal} />
      <form
        class="compose"
        onSubmit={(event) => {
          event.preventDefault();
          void submit(false);
        }}
      >
        <textarea
          rows={1}
          aria-label={`Message to ${agent.name}`}
          placeholder={`Message ${agent.name}`}
          enterkeyhint="send"
          data-shortcut="compose"
          value={text}
          onInput={(event) => write(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            void submit(false);
          }}
        />
        {agent.state === "working" && agent.kind !== "shell" && (
          <button type="button" class="button" disabled={!can} onClick={() => void submit(true)}>
            Queue
          </button>
        )}
        <button class="button primary send" aria-label="Send" disabled={!can}>
          <Icon name="send" />
        </button>
      </form>
    </>
  );
}

type Change = (next: (before: queues.Waiting[]) => queues.Waiting[]) => void;

/** The agent's queue, kept over a reload; what is due goes out. */
function useQueue(agent: Agent, terminal: string): [queues.Waiting[], Change] {
  const [queue, put] = useState(() => queues.read(agent.id));
  const change: Change = (next) =>
    put((before) => {
      const after = next(before);
      queues.write(agent.id, after);
      return after;
    });
  const spent = useRef("");
  const due = queues.next(queue, agent.state, way.value === "live", spent.current !== agent.since);
  useEffect(() => {
    if (!due) return;
    spent.current = agent.since;
    // Marked before it goes out: whatever happens to this page, it is not sent twice by itself.
    change((before) => queues.marked(before, due.id, "unsure"));
    send(agent.id, terminal, due.text).then(
      () => change((before) => queues.without(before, due.id)),
      (error: unknown) => {
        if (!(error instanceof Refusal && error.unreachable)) tell(error);
        else say("A message may not have arrived: look before sending it again", true);
      },
    );
  }, [due?.id]);
  return [queue, change];
}

interface QueueProps {
  queue: queues.Waiting[];
  change: Change;
  agent: Agent;
  terminal: string;
}

function Queue({ queue, change, agent, terminal }: QueueProps) {
  if (queue.length === 0) return null;
  const now = async (it: queues.Waiting) => {
    try {
      await send(agent.id, terminal, it.text);
      change((before) => queues.without(before, it.id));
    } catch (error) {
      tell(error);
    }
  };
  return (
    <ul class="queue" aria-label="Waiting, sent while this page is open">
      {queue.map((it) => (
        <li key={it.id}>
          <span class="grow">{it.text}</span>
          <span class={it.when === "unsure" ? "problem" : "muted"}>{WHEN[it.when]}</span>
          <button class="icon-button" aria-label="Send it now" onClick={() => void now(it)}>
            <Icon name="send" />
          </button>
          <button class="icon-button" aria-label="Drop it" onClick={() => change((before) => queues.without(before, it.id))}>
            <Icon name="close" />
          </button>
        </li>
      ))}
    </ul>
  );
}
