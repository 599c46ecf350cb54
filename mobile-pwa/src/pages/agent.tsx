// One agent: what it is, what it asks, and its parts as tabs.

import { useEffect } from "preact/hooks";
import type { Agent } from "../api/api.gen";
import { call } from "../api/client";
import { agentNamed, learn, way, who } from "../live/store";
import { drives } from "../live/shares";
import { within } from "../model/agents";
import { watches } from "../model/rights";
import { go, route, to } from "../route";
import { settings, wide } from "../settings";
import "../style/agent.css";
import { Icon, type IconName } from "../ui/icon";
import { Shown, Wait, lazy, useLoad } from "../ui/load";
import { Name, StateLine } from "../ui/state";
import { QuestionCard } from "../ui/question";
import { Menu } from "./menu";

const Terminals = lazy(() => import("./terminals").then((it) => it.Terminals));
const Text = lazy(() => import("./text").then((it) => it.Text));
const Changes = lazy(() => import("./changes").then((it) => it.Changes));
const Services = lazy(() => import("./services").then((it) => it.Services));
const Recordings = lazy(() => import("./recordings").then((it) => it.Recordings));
const People = lazy(() => import("./people").then((it) => it.People));
const Resources = lazy(() => import("./resources").then((it) => it.Resources));
const Details = lazy(() => import("./details").then((it) => it.Details));

interface Tab {
  id: string;
  label: string;
  icon: IconName;
  show: (props: { agent: Agent }) => preact.VNode;
}

const TABS: readonly Tab[] = [
  { id: "terminal", label: "Terminal", icon: "terminal", show: (props) => <Terminals {...props} /> },
  { id: "text", label: "Text", icon: "text", show: (props) => <Text {...props} /> },
  { id: "changes", label: "Changes", icon: "diff", show: (props) => <Changes {...props} /> },
  { id: "services", label: "Services", icon: "services", show: (props) => <Services {...props} /> },
  { id: "resources", label: "Resources", icon: "chart", show: (props) => <Resources {...props} /> },
  { id: "recordings", label: "Recordings", icon: "play", show: (props) => <Recordings {...props} /> },
  { id: "people", label: "People", icon: "people", show: (props) => <People {...props} /> },
  { id: "details", label: "Details", icon: "info", show: (props) => <Details {...props} /> },
];

export function AgentPage({ name }: { name: string }) {
  const agent = agentNamed(name);
  if (agent) return <Present agent={agent} />;
  return way.value === "live" ? <Absent name={name} /> : <Wait />;
}

/** Not in the list: in the trash, gone, or not ours to see. */
function Absent({ name }: { name: string }) {
  const found = useLoad(() => call("get /v1/agents/{agent}", { path: { agent: name } }), [name]);
  return (
    <main class="page" id="main">
      <header class="bar">
        <Back />
        <h1>{name}</h1>
      </header>
      <Shown of={found}>
        {(agent) => (
          <div class="empty">
            <h2>{agent.name} is in the trash</h2>
            <p>Its work is there; restoring brings it back as it was.</p>
            <Restore agent={agent} />
          </div>
        )}
      </Shown>
    </main>
  );
}

function Restore({ agent }: { agent: Agent }) {
  const restore = async () => learn(await call("post /v1/agents/{agent}/restore", { path: { agent: agent.id } }));
  return (
    <button class="button primary" onClick={() => void restore()}>
      Restore
    </button>
  );
}

/** What a guest sees. */
const WATCHED = TABS.slice(0, 2);

const tabs = (): readonly Tab[] => (watches(who.value) ? WATCHED : TABS);

const Back = () =>
  wide.value || watches(who.value) ? null : (
    <a class="icon-button" href="#/" aria-label="All agents">
      <Icon name="back" />
    </a>
  );

function Present({ agent }: { agent: Agent }) {
  const asked = route.value.parts[1];
  const first = wide.value ? "terminal" : settings.value.first;
  const tab = tabs().find((tab) => tab.id === (asked ?? first)) ?? TABS[0];
  return (
    <main class="page agent" id="main">
      <header class="bar agent-bar">
        <Back />
        <div class="grow">
          <h1>
            <Name name={agent.name} />
          </h1>
          <p class="agent-why" title={agent.reason}>
            <StateLine agent={agent} />
            {within(agent, agent.reason)}
          </p>
        </div>
        {drives(agent) && <Menu agent={agent} />}
      </header>
      <Questions agent={agent} />
      <Tabs agent={agent} current={tab?.id ?? ""} />
      <div class="tab-body" role="tabpanel" aria-label={tab?.label}>
        {tab?.show({ agent })}
      </div>
    </main>
  );
}

/** What it asks; a notification may lead to one that was answered meanwhile. */
function Questions({ agent }: { agent: Agent }) {
  const { query } = route.value;
  const [asked, wanted] = [query.get("question"), query.get("answer") ?? ""];
  const questions = agent.questions ?? [];
  const over = asked !== null && !questions.some((question) => question.id === asked);
  if (questions.length === 0 && !over) return null;
  return (
    <div class="questions" role="region" aria-label="Questions" aria-live="polite">
      {over && (
        <p class="over" role="status">
          <Icon name="check" /> That question was answered, or is over.
        </p>
      )}
      {questions.map((question) => (
        <QuestionCard key={question.id} agent={agent} question={question} wanted={question.id === asked ? wanted : ""} />
      ))}
    </div>
  );
}

function Tabs({ agent, current }: { agent: Agent; current: string }) {
  const move = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = tabs();
    const at = all.findIndex((tab) => tab.id === current);
    const next = all[(at + step + all.length) % all.length];
    if (!next) return;
    go(to("agents", agent.name, next.id), { replace: true });
    requestAnimationFrame(() => document.getElementById(`tab-${next.id}`)?.focus());
  };
  useEffect(() => document.getElementById(`tab-${current}`)?.scrollIntoView({ block: "nearest", inline: "center" }), [current]);
  return (
    <div class="tabs" role="tablist" aria-label={`Parts of ${agent.name}`} onKeyDown={move}>
      {tabs().map((tab) => (
        <a
          key={tab.id}
          id={`tab-${tab.id}`}
          role="tab"
          href={to("agents", agent.name, tab.id)}
          aria-selected={tab.id === current}
          tabIndex={tab.id === current ? 0 : -1}
          onClick={(event) => {
            // Tabs are no history: back leads to the list.
            event.preventDefault();
            go(to("agents", agent.name, tab.id), { replace: true });
          }}
        >
          <Icon name={tab.icon} />
          {tab.label}
        </a>
      ))}
    </div>
  );
}
