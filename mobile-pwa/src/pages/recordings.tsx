// Recordings of an agent's terminals: to play, and to take along.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Agent, Recording } from "../api/api.gen";
import { bytes, call } from "../api/client";
import { who } from "../live/store";
import { owns } from "../model/rights";
import { type Recorded, cast, read } from "../model/recording";
import { length, size, stamp } from "../model/time";
import { isDark } from "../settings";
import { Canvas } from "../terminal/canvas";
import { Player } from "../terminal/player";
import "../style/terminal.css";
import { Icon } from "../ui/icon";
import { Shown, useLoad } from "../ui/load";
import { tell } from "../ui/toast";

const fetched = async (agent: Agent, recording: Recording): Promise<Recorded> =>
  read(await bytes("get /v1/agents/{agent}/recordings/{recording}", { path: { agent: agent.id, recording: recording.id } }));

export function Recordings({ agent }: { agent: Agent }) {
  const all = useLoad(() => call("get /v1/agents/{agent}/recordings", { path: { agent: agent.id } }), [agent.id]);
  const [playing, play] = useState<Recording | undefined>(undefined);
  if (playing) return <Play key={playing.id} agent={agent} recording={playing} close={() => play(undefined)} />;
  return (
    <div class="scroll" tabIndex={0}>
      <div class="body">
        {owns(agent, who.value) && <Typed agent={agent} />}
        <Shown of={all}>
          {(found) =>
            found.length === 0 ? (
              <div class="empty">
                <h2>No recordings</h2>
                <p>What its terminals show is recorded while it runs, unless the host says otherwise.</p>
              </div>
            ) : (
              <ul class="panel section">
                {[...found].reverse().map((recording) => (
                  <li key={recording.id}>
                    <Icon name="terminal" />
                    <div class="grow">
                      <p>
                        <b>{recording.terminal}</b> <span class="soft">{stamp(recording.begun)}</span>
                      </p>
                      <p class="muted small">
                        {length(recording.length_ms)}, {recording.cols}×{recording.rows}, {size(recording.bytes)}
                      </p>
                    </div>
                    <button class="button quiet" onClick={() => void take(agent, recording)}>
                      Export
                    </button>
                    <button class="button" onClick={() => play(recording)}>
                      <Icon name="play" /> Play
                    </button>
                  </li>
                ))}
              </ul>
            )
          }
        </Shown>
      </div>
    </div>
  );
}

/** Whether what people type is recorded, while the agent runs. */
function Typed({ agent }: { agent: Agent }) {
  const [on, put] = useState<boolean | undefined>(undefined);
  const path = { agent: agent.id };
  useEffect(() => {
    call("get /v1/agents/{agent}/who", { path }).then(
      ({ leases }) => put(leases.some((lease) => lease.recorded)),
      () => put(undefined),
    );
  }, [agent.id, agent.state]);
  if (on === undefined) return null;
  const change = async () => {
    try {
      put((await call("post /v1/agents/{agent}/recordings/input", { path, body: { on: !on } })).on);
    } catch (error) {
      tell(error);
    }
  };
  return (
    <label class="check small">
      <input type="checkbox" checked={on} onChange={() => void change()} />
      Record what people type, until the agent stops or is handed over. They are told.
    </label>
  );
}

/** As a file that asciinema plays. */
async function take(agent: Agent, recording: Recording): Promise<void> {
  try {
    const text = cast(await fetched(agent, recording), `${agent.name}, ${recording.terminal}`);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/x-asciicast" }));
    link.download = `${agent.name}-${recording.id}.cast`;
    link.click();
    window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  } catch (error) {
    tell(error);
  }
}

function Play({ agent, recording, close }: { agent: Agent; recording: Recording; close: () => void }) {
  const found = useLoad(() => fetched(agent, recording), [recording.id]);
  return (
    <>
      <header class="term-head">
        <span class="grow">
          {recording.terminal}, {stamp(recording.begun)}
        </span>
        <button class="icon-button" aria-label="Close the recording" onClick={close}>
          <Icon name="close" />
        </button>
      </header>
      <Shown of={found}>{(recorded) => <Screen recorded={recorded} />}</Shown>
    </>
  );
}

const SPEEDS = [1, 2, 4, 8];

function Screen({ recorded }: { recorded: Recorded }) {
  const view = useRef<HTMLDivElement>(null);
  const host = useRef<HTMLDivElement>(null);
  const [player, put] = useState<Player | undefined>(undefined);
  useEffect(() => {
    if (!view.current || !host.current) return undefined;
    const canvas = new Canvas(view.current, host.current, { font: 13, reader: false, keys: false, dark: isDark.peek() });
    const made = new Player(recorded, canvas);
    put(made);
    made.play();
    return () => made.close();
  }, [recorded]);
  return (
    <section class="term" aria-label="Recording">
      <div class="term-view" ref={view}>
        <div class="term-host" ref={host} />
      </div>
      {player && <Controls player={player} length={recorded.length} />}
    </section>
  );
}

function Controls({ player, length: total }: { player: Player; length: number }) {
  const speed = player.speed.value;
  return (
    <div class="player">
      <button class="icon-button" aria-label={player.playing.value ? "Pause" : "Play"} onClick={() => player.toggle()}>
        <Icon name={player.playing.value ? "pause" : "play"} />
      </button>
      <input
        type="range"
        min={0}
        max={Math.ceil(total)}
        value={player.at.value}
        aria-label="Position"
        aria-valuetext={`${length(player.at.value)} of ${length(total)}`}
        onInput={(event) => player.seek(Number(event.currentTarget.value))}
      />
      <span class="muted small time">
        {length(player.at.value)} / {length(total)}
      </span>
      <button
        class="button quiet"
        aria-label={`Speed ${speed} times`}
        onClick={() => player.setSpeed(SPEEDS[(SPEEDS.indexOf(speed) + 1) % SPEEDS.length] ?? 1)}
      >
        {speed}×
      </button>
    </div>
  );
}
