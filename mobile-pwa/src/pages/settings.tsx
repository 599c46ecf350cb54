// Settings: this device, oneself, and what an administrator sees.

import "../style/agent.css";
import "../style/pages.css";
import type { Secret, Status, Token } from "../api/api.gen";
import { call } from "../api/client";
import { now, who } from "../live/store";
import { administers } from "../model/rights";
import { since, stamp } from "../model/time";
import { signOut } from "../session";
import { type Settings, set, settings } from "../settings";
import { confirm } from "../ui/dialog";
import { Icon } from "../ui/icon";
import { Shown, useLoad } from "../ui/load";
import { tell } from "../ui/toast";
import { Devices } from "./devices";
import { Notifications } from "./notifications";
import { Section } from "./section";
import { Users } from "./users";

export function SettingsPage() {
  return (
    <main class="page" id="main">
      <header class="bar">
        <h1>Settings</h1>
      </header>
      <div class="scroll" tabIndex={0}>
        <div class="body narrow">
          <Me />
          <Appearance />
          <Notifications />
          <Devices />
          <Tokens />
          <Secrets />
          {administers(who.value) && <Users />}
          <Host />
        </div>
      </div>
    </main>
  );
}

const REACH: Record<string, string> = {
  watch: "watches",
  view: "may look",
  approve: "may look and answer questions",
  drive: "may type into agents",
  own: "may do all with agents of one’s own",
  admin: "may do all that the user may",
};

function Me() {
  const me = who.value;
  if (!me) return null;
  const out = () => signOut().catch(tell);
  return (
    <Section title="Signed in">
      <div class="panel">
        <div class="item">
          <Icon name="people" />
          <div class="grow">
            <p>
              <b>{me.user}</b> <span class="soft">{me.role}</span>
            </p>
            <p class="muted small">
              {me.device ? `signed in on ${me.device}` : me.via.startsWith("link:") ? "by a link" : "by a token"}, {REACH[me.scope] ?? me.scope}
            </p>
          </div>
          <button class="button" onClick={() => void out()}>
            Sign out
          </button>
        </div>
      </div>
    </Section>
  );
}

const THEMES: ReadonlyArray<[Settings["theme"], string]> = [
  ["auto", "As the device"],
  ["dark", "Dark"],
  ["light", "Light"],
];

function Appearance() {
  const { theme, font, reader, first } = settings.value;
  return (
    <Section title="This device">
      <div class="panel">
        <fieldset class="item choice">
          <legend class="grow">Colours</legend>
          {THEMES.map(([value, label]) => (
            <label key={value}>
              <input type="radio" name="theme" checked={theme === value} onChange={() => set({ theme: value })} />
              <span>{label}</span>
            </label>
          ))}
        </fieldset>
        <label class="item">
          <span class="grow">Letters of terminals</span>
          <input type="range" min={9} max={22} value={font} aria-valuetext={`${font} pixels`} onInput={(event) => set({ font: Number(event.currentTarget.value) })} />
          <span class="muted small wide-number">{font} px</span>
        </label>
        <label class="item">
          <span class="grow">On a phone an agent opens as</span>
          <select class="short" value={first} onChange={(event) => set({ first: event.currentTarget.value as Settings["first"] })}>
            <option value="terminal">terminal</option>
            <option value="text">text</option>
          </select>
        </label>
        <label class="item">
          <span class="grow">
            Terminals speak to a screen reader
            <small class="muted block">The text view needs no such thing.</small>
          </span>
          <input type="checkbox" checked={reader} onChange={(event) => set({ reader: event.currentTarget.checked })} />
        </label>
      </div>
    </Section>
  );
}

function Tokens() {
  const tokens = useLoad(() => call("get /v1/tokens"), []);
  if (tokens.error) return null;
  const end = async (token: Token) => {
    if (!(await confirm("End this token?", `${token.label || token.id}: whoever uses it is signed out.`, "End it", true))) return;
    try {
      await call("delete /v1/tokens/{token}", { path: { token: token.id } });
      tokens.again();
    } catch (error) {
      tell(error);
    }
  };
  return (
    <Section title="Tokens">
      <Shown of={tokens}>
        {(all) => {
          const good = all.filter((token) => token.state === "good");
          return (
            <ul class="panel">
              {good.length === 0 && <li class="muted">No token is good.</li>}
              {good.map((token) => (
                <li key={token.id}>
                  <Icon name="key" />
                  <div class="grow">
                    <p>
                      <b>{token.label || token.id}</b> <span class="soft">{token.scope}</span> {token.user !== who.value?.user && <span class="pill">{token.user}</span>}
                    </p>
                    <p class="muted small">
                      {token.used ? `used ${since(token.used, now.value)}${token.address ? ` from ${token.address}` : ""}` : "never used"}, until {stamp(token.expires)}
                    </p>
                  </div>
                  <button class="icon-button" aria-label={`End ${token.label || token.id}`} onClick={() => void end(token)}>
                    <Icon name="close" />
                  </button>
                </li>
              ))}
            </ul>
          );
        }}
      </Shown>
    </Section>
  );
}

function Secrets() {
  const secrets = useLoad(() => call("get /v1/secrets"), []);
  if (secrets.error) return null;
  return (
    <Section title="Secrets">
      <Shown of={secrets}>
        {(all) => (
          <ul class="panel">
            {all.length === 0 && (
              <li class="muted">
                None. On that machine: <code>wsm secret set</code>
              </li>
            )}
            {all.map((secret) => (
              <SecretRow key={`${secret.owner} ${secret.name}`} secret={secret} />
            ))}
          </ul>
        )}
      </Shown>
    </Section>
  );
}

function SecretRow({ secret }: { secret: Secret }) {
  const trouble = secret.expired ? "expired" : secret.refused;
  return (
    <li>
      <Icon name="key" />
      <div class="grow">
        <p>
          <b>{secret.name}</b> {secret.login && <span class="pill">login of {secret.login}</span>}
          {secret.owner === "" && <span class="pill">everybody’s</span>}
        </p>
        <p class="muted small">
          {secret.hosts.length > 0 ? `for ${secret.hosts.join(", ")}, ` : ""}
          {secret.used ? `used ${since(secret.used, now.value)}` : "never used"}
        </p>
        {trouble && <p class="problem small">{trouble}</p>}
      </div>
    </li>
  );
}

function Host() {
  const status = useLoad(() => call("get /v1/status"), []);
  return (
    <Section title="Host">
      <Shown of={status}>{(value) => <HostFacts status={value} />}</Shown>
    </Section>
  );
}

function HostFacts({ status }: { status: Status }) {
  return (
    <dl class="pairs">
      <dt>wsm</dt>
      <dd>{status.version}</dd>
      <dt>Runs since</dt>
      <dd>{stamp(status.since)}</dd>
      <dt>Broker</dt>
      <dd>{status.broker ? "answers" : "does not answer"}</dd>
      {status.web && (
        <>
          <dt>Address</dt>
          <dd>{status.web.url || status.web.problem}</dd>
        </>
      )}
    </dl>
  );
}

