// What an agent uses of its host, as small charts.

import { Fragment } from "preact";
import type { Agent, Disk, Usage, UsageSample, Used } from "../api/api.gen";
import { call } from "../api/client";
import { now } from "../live/store";
import { type Point, area, ceiling, highest, newest, path } from "../model/series";
import { since, size } from "../model/time";
import "../style/agent.css";
import "../style/charts.css";
import { Shown, useLoad } from "../ui/load";

const EVERY_MS = 10_000;
const [WIDTH, HEIGHT] = [320, 72];

export function Resources({ agent }: { agent: Agent }) {
  const usage = useLoad(() => call("get /v1/agents/{agent}/usage", { path: { agent: agent.id } }), [agent.id], EVERY_MS);
  return (
    <div class="scroll" tabIndex={0}>
      <div class="body">
        <Shown of={usage}>{(value) => <All agent={agent} usage={value} />}</Shown>
      </div>
    </div>
  );
}

const series = (samples: readonly UsageSample[], pick: (used: Used) => number | null | undefined): Point[] =>
  samples.map((sample) => ({ at: Date.parse(sample.at), value: pick(sample) ?? undefined }));

const cores = (milli: number) => `${(milli / 1000).toFixed(milli >= 10_000 ? 0 : 2)} cores`;
const percent = (hundredths: number) => `${(hundredths / 100).toFixed(1)} %`;

function All({ agent, usage }: { agent: Agent; usage: Usage }) {
  const { samples } = usage;
  if (samples.length === 0) {
    return (
      <div class="empty">
        <h2>Nothing was counted yet</h2>
        <p>While it runs, a sample is taken every ten seconds.</p>
      </div>
    );
  }
  const kills = samples.reduce((sum, sample) => sum + (sample.oom_kills ?? 0), 0);
  return (
    <>
      {kills > 0 && (
        <p class="problem killed" role="alert">
          The kernel killed {kills} {kills === 1 ? "process" : "processes"} of it for want of memory in the last day.
        </p>
      )}
      <p class="muted small span">{spanned(samples)}, newest at the right</p>
      <div class="charts">
        <Chart name="CPU" points={series(samples, (it) => it.cpu_milli)} limit={usage.cpu_limit_milli} words={cores} />
        <Chart name="Memory" points={series(samples, (it) => it.memory_bytes)} limit={usage.memory_limit_bytes} words={size} />
        <Chart name="Disk" points={samples.map((sample) => ({ at: Date.parse(sample.at), value: sample.disk_bytes ?? undefined }))} limit={undefined} words={size} />
        <Chart name="Waiting for CPU" points={series(samples, (it) => it.pressure?.cpu)} limit={10_000} words={percent} />
        <Chart name="Waiting for memory" points={series(samples, (it) => it.pressure?.memory)} limit={10_000} words={percent} />
        <Chart name="Waiting for the disk" points={series(samples, (it) => it.pressure?.io)} limit={10_000} words={percent} />
      </div>
      {usage.disk && <Files disk={usage.disk} />}
      <Services agent={agent} samples={samples} />
      <Spent agent={agent} />
      <Hosts usage={usage} />
    </>
  );
}

/** Where the disk space is. */
function Files({ disk }: { disk: Disk }) {
  const parts: Array<[string, number]> = [
    ["Workspace", disk.workspace_bytes],
    ["Home", disk.home_bytes],
    ["Services", disk.state_bytes],
  ];
  return (
    <section class="section" aria-label="Disk space">
      <h2>Disk space</h2>
      <dl class="pairs">
        {parts.map(([name, bytes]) => (
          <Fragment key={name}>
            <dt>{name}</dt>
            <dd>{size(bytes)}</dd>
          </Fragment>
        ))}
      </dl>
      <p class="muted small">
        Counted {since(disk.at, now.value)}
        {disk.exact ? "" : "; there is more, too much to count"}
      </p>
    </section>
  );
}

/** How long the charts are. */
function spanned(samples: readonly UsageSample[]): string {
  const [first, last] = [samples[0], samples[samples.length - 1]];
  const minutes = Math.round((Date.parse(last?.at ?? "") - Date.parse(first?.at ?? "")) / 60_000);
  if (minutes < 1) return "The last minute";
  return minutes < 100 ? `The last ${minutes} ${minutes === 1 ? "minute" : "minutes"}` : `The last ${Math.round(minutes / 60)} hours`;
}

interface ChartProps {
  name: string;
  points: Point[];
  limit: number | null | undefined;
  words: (value: number) => string;
}

function Chart({ name, points, limit, words }: ChartProps) {
  const now = newest(points);
  // What this host does not count has no chart.
  if (now === undefined) return null;
  const most = highest(points);
  const top = limit && most > limit * 0.25 ? limit : ceiling(most);
  const line = path(points, top, WIDTH, HEIGHT);
  return (
    <figure class="chart">
      <figcaption>
        <span class="soft">{name}</span>
        <b>{words(now)}</b>
        <span class="muted small">
          most {words(most)}
          {limit && name.length < 7 ? ` of ${words(limit)}` : ""}
        </span>
      </figcaption>
      <svg viewBox={`0 -3 ${WIDTH} ${HEIGHT + 4}`} preserveAspectRatio="none" role="img" aria-label={`${name}: now ${words(now)}, at most ${words(most)}`}>
        <path class="fill" d={area(points, top, WIDTH, HEIGHT)} />
        <path class="line" d={line} vector-effect="non-scaling-stroke" />
      </svg>
    </figure>
  );
}

/** What this host does not count for a service is not told as nothing. */
function figures(used: Used | undefined): string {
  const cpu = used?.cpu_milli ?? undefined;
  const memory = used?.memory_bytes ?? undefined;
  return [cpu !== undefined && cores(cpu), memory !== undefined && size(memory)].filter(Boolean).join(", ") || "not counted here";
}

function Services({ agent, samples }: { agent: Agent; samples: readonly UsageSample[] }) {
  const last = samples[samples.length - 1]?.services ?? {};
  const names = agent.services.map((service) => service.name).filter((name) => last[name]);
  if (names.length === 0) return null;
  return (
    <section class="section" aria-label="By service">
      <h2>By service</h2>
      <ul class="panel">
        {names.map((name) => {
          const points = series(samples, () => null).map((point, at) => ({ ...point, value: samples[at]?.services?.[name]?.memory_bytes ?? undefined }));
          return (
            <li key={name}>
              <b class="grow">{name}</b>
              <svg class="spark" viewBox="0 -2 90 28" preserveAspectRatio="none" aria-hidden="true">
                <path class="line" d={path(points, ceiling(highest(points)), 90, 24)} vector-effect="non-scaling-stroke" />
              </svg>
              <span class="muted small figures">
                {figures(last[name])}
              </span>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

/** What the agent says of itself. */
function Spent({ agent }: { agent: Agent }) {
  const spent = agent.usage;
  if (!spent || spent.tokens_in + spent.tokens_out === 0) return null;
  return (
    <section class="section" aria-label="Tokens">
      <h2>Tokens, as the agent reports them</h2>
      <dl class="pairs">
        <dt>In</dt>
        <dd>{spent.tokens_in.toLocaleString()}</dd>
        <dt>Out</dt>
        <dd>{spent.tokens_out.toLocaleString()}</dd>
        {spent.cost_usd && (
          <>
            <dt>Cost</dt>
            <dd>${Number(spent.cost_usd).toFixed(2)}</dd>
          </>
        )}
      </dl>
    </section>
  );
}

function Hosts({ usage }: { usage: Usage }) {
  if (usage.hosts.length === 0) return null;
  return (
    <section class="section" aria-label="Network">
      <h2>Network by host</h2>
      <ul class="panel">
        {usage.hosts.map((host) => (
          <li key={host.target} class="small">
            <span class="grow mono">{host.target}</span>
            {host.denied > 0 && <span class="problem">{host.denied} denied</span>}
            <span class="muted figures">
              ↑{size(host.sent)} ↓{size(host.received)}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
