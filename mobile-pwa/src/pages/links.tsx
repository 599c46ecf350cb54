// Links to watch an agent by: made, shown once, ended.

import { useState } from "preact/hooks";
import type { Agent, Link, LinkMade } from "../api/api.gen";
import { call } from "../api/client";
import { now } from "../live/store";
import { since, stamp } from "../model/time";
import { confirm } from "../ui/dialog";
import { Handed } from "../ui/handed";
import { Icon } from "../ui/icon";
import { Shown, useLoad } from "../ui/load";
import { tell } from "../ui/toast";
import { Section } from "./section";

const LENGTHS: ReadonlyArray<[string, number]> = [
  ["for an hour", 3600],
  ["for a day", 86_400],
  ["for a week", 604_800],
  ["for 30 days", 2_592_000],
];

export function Links({ agent }: { agent: Agent }) {
  const links = useLoad(() => call("get /v1/agents/{agent}/links", { path: { agent: agent.id } }), [agent.id]);
  const [made, put] = useState<LinkMade | undefined>(undefined);
  return (
    <Section title="Links to watch by">
      <p class="soft small">Whoever has such an address sees the screen of {agent.name}, without an account. They can't type, and see no files or logs.</p>
      <Shown of={links}>
        {(all) =>
          all.length === 0 ? null : (
            <ul class="panel">
              {all.map((link) => (
                <Row key={link.id} agent={agent} link={link} again={links.again} />
              ))}
            </ul>
          )
        }
      </Shown>
      <Make
        agent={agent}
        done={(link) => {
          put(link);
          links.again();
        }}
      />
      {made && (
        <Handed
          title="A link to watch by"
          text={`Copy it now: it is not shown again. It is good until ${stamp(made.link.expires)}.`}
          url={made.url}
          close={() => put(undefined)}
        />
      )}
    </Section>
  );
}

function Row({ agent, link, again }: { agent: Agent; link: Link; again: () => void }) {
  const end = async () => {
    if (!(await confirm("End this link?", "Whoever watches by it sees nothing more.", "End it", true))) return;
    try {
      await call("delete /v1/agents/{agent}/links/{link}", { path: { agent: agent.id, link: link.id } });
    } catch (error) {
      tell(error);
    }
    again();
  };
  return (
    <li>
      <Icon name="ports" />
      <div class="grow">
        <p>
          until {stamp(link.expires)} <span class="soft">by {link.by}</span>
        </p>
        <p class="muted small">
          {link.used ? `used ${since(link.used, now.value)}${link.address ? ` from ${link.address}` : ""}` : "never used"}, made {since(link.created, now.value)}
        </p>
      </div>
      <button class="button quiet danger" aria-label={`End the link that is good until ${stamp(link.expires)}`} onClick={() => void end()}>
        End
      </button>
    </li>
  );
}

function Make({ agent, done }: { agent: Agent; done: (made: LinkMade) => void }) {
  const [seconds, choose] = useState(86_400);
  const [busy, work] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    work(true);
    try {
      done(await call("post /v1/agents/{agent}/links", { path: { agent: agent.id }, body: { expires_s: seconds } }));
    } catch (error) {
      tell(error);
    } finally {
      work(false);
    }
  };
  return (
    <form class="inline-form" aria-label="Make a link" onSubmit={(event) => void submit(event)}>
      <label class="field">
        <span>A new link, good</span>
        <select value={seconds} onChange={(event) => choose(Number(event.currentTarget.value))}>
          {LENGTHS.map(([name, value]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <button class="button" disabled={busy}>
        Make a link
      </button>
    </form>
  );
}
