// What one is told of, when not, where, and what became of it.

import { useEffect, useState } from "preact/hooks";
import type { Channel, Delivery, Rules } from "../api/api.gen";
import { call } from "../api/client";
import { now } from "../live/store";
import { since } from "../model/time";
import { type Reach, enrol, leave, look, reach } from "../push";
import { confirm } from "../ui/dialog";
import { Icon } from "../ui/icon";
import { Shown, useLoad } from "../ui/load";
import { say, tell } from "../ui/toast";
import { Section } from "./section";

const WORDS: Record<Reach, string> = {
  unknown: "…",
  impossible: "This browser has no notifications for pages.",
  install: "On an iPhone or iPad: Share, Add to Home Screen; then open wsm from there.",
  denied: "The browser refuses notifications from this page; its settings for this site change that.",
  off: "This device is not told.",
  on: "This device is told.",
};

export function Notifications() {
  const channels = useLoad(() => call("get /v1/notifications/channels"), []);
  const deliveries = useLoad(() => call("get /v1/notifications/deliveries"), []);
  const again = () => {
    channels.again();
    deliveries.again();
  };
  const test = async (channel?: string) => {
    try {
      await call("post /v1/notifications/test", { body: channel ? { channel } : {} });
      say("A test is on its way");
      window.setTimeout(deliveries.again, 2_000);
    } catch (error) {
      tell(error);
    }
  };
  return (
    <>
      <Section title="Notifications">
        <Here done={again} />
        <Shown of={channels}>{(all) => <Channels all={all} again={again} test={test} />}</Shown>
        <AddChannel done={again} />
      </Section>
      <RulesSection />
      <Section title="What was sent">
        <Shown of={deliveries}>{(all) => <Deliveries all={all} />}</Shown>
      </Section>
    </>
  );
}

function Here({ done }: { done: () => void }) {
  const [busy, work] = useState(false);
  useEffect(() => void look(), []);
  const act = async () => {
    work(true);
    try {
      if (reach.peek() === "on") await leave();
      else await enrol();
      done();
    } catch (error) {
      tell(error);
    } finally {
      work(false);
    }
  };
  const state = reach.value;
  return (
    <div class="panel">
      <div class="item">
        <Icon name="bell" />
        <p class="grow">{WORDS[state]}</p>
        {(state === "on" || state === "off") && (
          <button class={state === "off" ? "button primary" : "button"} disabled={busy} onClick={() => void act()}>
            {state === "off" ? "Turn on" : "Turn off"}
          </button>
        )}
      </div>
    </div>
  );
}

interface ChannelsProps {
  all: Channel[];
  again: () => void;
  test: (channel: string) => Promise<void>;
}

function Channels({ all, again, test }: ChannelsProps) {
  const remove = async (channel: Channel) => {
    if (!(await confirm("Remove this way?", `${channel.label || channel.address} is not told any more.`, "Remove", true))) return;
    try {
      await call("delete /v1/notifications/channels/{channel}", { path: { channel: channel.id } });
      again();
    } catch (error) {
      tell(error);
    }
  };
  if (all.length === 0) return null;
  return (
    <ul class="panel">
      {all.map((channel) => (
        <li key={channel.id}>
          <Icon name={channel.kind === "push" ? "phone" : "send"} />
          <div class="grow">
            <p>
              <b>{channel.label || channel.address}</b> <span class="pill">{channel.kind}</span>
            </p>
            <p class="muted small">
              {channel.last ? `${channel.outcome}, ${since(channel.last, now.value)}` : "nothing was sent there yet"}
            </p>
          </div>
          <button class="button quiet" onClick={() => void test(channel.id)}>
            Test
          </button>
          <button class="icon-button" aria-label={`Remove ${channel.label || channel.address}`} onClick={() => void remove(channel)}>
            <Icon name="close" />
          </button>
        </li>
      ))}
    </ul>
  );
}

const KINDS: ReadonlyArray<[string, string]> = [
  ["ntfy", "https://ntfy.example.org/topic"],
  ["webhook", "https://example.org/hook"],
  ["email", "me@example.org"],
];

function AddChannel({ done }: { done: () => void }) {
  const [kind, choose] = useState("ntfy");
  const [address, write] = useState("");
  const [secret, show] = useState("");
  const submit = async (event: Event) => {
    event.preventDefault();
    try {
      const made = await call("post /v1/notifications/channels", { body: { kind, address: address.trim() } });
      show(made.signing_secret ?? "");
      say(`${made.channel.address} is told from now on`);
      write("");
      done();
    } catch (error) {
      tell(error);
    }
  };
  return (
    <>
      <form class="inline-form" aria-label="Another way" onSubmit={(event) => void submit(event)}>
        <label class="field">
          <span>Another way</span>
          <select value={kind} onChange={(event) => choose(event.currentTarget.value)}>
            {KINDS.map(([name]) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label class="field wide">
          <span>Address</span>
          <input
            type="text"
          inputMode={kind === "email" ? "email" : "url"}
            required
            placeholder={KINDS.find(([name]) => name === kind)?.[1]}
            value={address}
            onInput={(event) => write(event.currentTarget.value)}
          />
        </label>
        <button class="button">Add</button>
      </form>
      {secret && (
        <p class="small" role="status">
          Its messages are signed with <code>{secret}</code>; this is told only once.
        </p>
      )}
    </>
  );
}

const ABOUT: ReadonlyArray<[string, string]> = [
  ["blocked", "needs me"],
  ["finished", "finished"],
  ["failed", "failed"],
  ["service-down", "a service is down"],
  ["limit", "hit a limit"],
  ["security", "tried what it may not"],
  ["handoff", "is offered to me"],
  ["lease", "its keyboard is asked for"],
];

function RulesSection() {
  const found = useLoad(() => call("get /v1/notifications"), []);
  const change = async (rules: Rules) => {
    try {
      found.put(await call("put /v1/notifications", { body: { rules } }));
    } catch (error) {
      tell(error);
    }
  };
  return (
    <Section title="Tell me when an agent">
      <Shown of={found}>{({ rules }) => <RulesForm rules={rules} change={change} />}</Shown>
    </Section>
  );
}

function RulesForm({ rules, change }: { rules: Rules; change: (rules: Rules) => Promise<void> }) {
  const on = rules.on ?? undefined;
  const [quiet, write] = useState((rules.quiet ?? []).join(", "));
  const toggle = (about: string, is: boolean) => {
    const before = on ?? ABOUT.map(([name]) => name);
    void change({ ...rules, on: is ? [...before, about] : before.filter((name) => name !== about) });
  };
  const hours = () => {
    const told = quiet.split(",").map((part) => part.trim()).filter(Boolean);
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    void change({ ...rules, quiet: told, zone });
  };
  return (
    <div class="panel">
      <div class="item checks">
        {ABOUT.map(([about, words]) => (
          <label key={about} class="check">
            <input type="checkbox" disabled={on === undefined} checked={on === undefined || on.includes(about)} onChange={(event) => toggle(about, event.currentTarget.checked)} />
            {words}
          </label>
        ))}
      </div>
      <label class="item">
        <span class="grow">As each template says</span>
        <input
          type="checkbox"
          checked={on === undefined}
          onChange={(event) => void change({ ...rules, on: event.currentTarget.checked ? null : ABOUT.map(([name]) => name) })}
        />
      </label>
      <label class="item">
        <span class="grow">Also of agents that others share with me</span>
        <input type="checkbox" checked={rules.shared ?? false} onChange={(event) => void change({ ...rules, shared: event.currentTarget.checked })} />
      </label>
      <label class="item">
        <span class="grow">Quiet hours</span>
        <input class="short-text" type="text" placeholder="22:00-07:00" value={quiet} onInput={(event) => write(event.currentTarget.value)} onChange={hours} />
      </label>
      <label class="item">
        <span class="grow">Even then, when one needs me</span>
        <input
          type="checkbox"
          checked={rules.approvals_always ?? false}
          onChange={(event) => void change({ ...rules, approvals_always: event.currentTarget.checked })}
        />
      </label>
      <label class="item">
        <span class="grow">Nothing at all</span>
        <input type="checkbox" checked={rules.muted ?? false} onChange={(event) => void change({ ...rules, muted: event.currentTarget.checked })} />
      </label>
    </div>
  );
}

const GOOD = ["sent", "waiting", "replaced"];

function Deliveries({ all }: { all: Delivery[] }) {
  if (all.length === 0) return <p class="muted">Nothing was sent yet.</p>;
  return (
    <ul class="panel">
      {all.slice(0, 30).map((delivery) => (
        <li key={delivery.id} class="small">
          <span class={`dot ${delivery.status === "sent" ? "ready" : GOOD.includes(delivery.status) ? "busy" : "trouble"}`} aria-hidden="true" />
          <div class="grow">
            <p>{delivery.title}</p>
            <p class="muted">
              {delivery.label || delivery.kind || "nowhere"}: {delivery.status}
              {delivery.outcome && `, ${delivery.outcome}`}
            </p>
          </div>
          <time class="when" dateTime={delivery.at}>
            {since(delivery.at, now.value)}
          </time>
        </li>
      ))}
    </ul>
  );
}
