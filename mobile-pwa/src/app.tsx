// The frame around every page.

import { useSignalEffect } from "@preact/signals";
import { agentNamed, agents, expired, needing, now, seenAt, way, who } from "./live/store";
import { KeyHelp } from "./ui/help";
import { newer, renew } from "./live/worker";
import { watches } from "./model/rights";
import { since } from "./model/time";
import { Agents, NewLink, Nothing } from "./pages/agents";
import { brought, route } from "./route";
import { wide } from "./settings";
import { Confirmation } from "./ui/dialog";
import { Icon, type IconName } from "./ui/icon";
import { List, Search, Summary } from "./ui/list";
import { Wait, lazy } from "./ui/load";
import { Toasts } from "./ui/toast";

const SignIn = lazy<{ again?: boolean }>(() => import("./pages/signin").then((it) => it.SignIn));
const LinkOver = lazy(() => import("./pages/signin").then((it) => it.LinkOver));
const Agent = lazy(() => import("./pages/agent").then((it) => it.AgentPage));
const Activity = lazy(() => import("./pages/activity").then((it) => it.Activity));
const New = lazy(() => import("./pages/new").then((it) => it.NewAgentPage));
const Desk = lazy(() => import("./pages/desk").then((it) => it.Desk));
const Trash = lazy(() => import("./pages/trash").then((it) => it.Trash));
const Share = lazy(() => import("./pages/share").then((it) => it.SharePage));
const Settings = lazy(() => import("./pages/settings").then((it) => it.SettingsPage));

const PLACES: ReadonlyArray<{ page: string; label: string; icon: IconName; hash: string }> = [
  { page: "agents", label: "Agents", icon: "agents", hash: "#/" },
  { page: "activity", label: "Activity", icon: "history", hash: "#/activity" },
  { page: "settings", label: "Settings", icon: "settings", hash: "#/settings" },
];

/** Only where terminals have room beside each other. */
const DESK = { page: "desk", label: "Desk", icon: "desk", hash: "#/desk" } as const;

function Links({ places = PLACES }) {
  const { page } = route.value;
  return (
    <>
      {places.map((place) => (
        <a key={place.page} href={place.hash} aria-current={page === place.page ? "page" : undefined}>
          <Icon name={place.icon} />
          {place.label}
          {place.page === "agents" && needing.value > 0 && (
            <span class="count" aria-label={`${needing.value} need you`}>
              {needing.value}
            </span>
          )}
        </a>
      ))}
    </>
  );
}

/** What is shown may not be so now. */
function Away() {
  if (way.value === "live" || way.value === "starting") return null;
  const seen = seenAt.value > 0 ? ` What you see is from ${since(new Date(seenAt.value).toISOString(), now.value)}.` : "";
  return (
    <div class="strip" role="status">
      <span class="dot off" />
      <span>
        {way.value === "offline" ? "No network." : "wsm can't be reached, trying again."}
        {seen}
      </span>
    </div>
  );
}

/** Nobody's terminal is loaded anew under their hands. */
function Newer() {
  if (!newer.value) return null;
  return (
    <div class="strip" role="status">
      A new version of these pages is ready.
      <button class="button" onClick={renew}>
        Reload
      </button>
    </div>
  );
}

function Page() {
  const { page, parts } = route.value;
  switch (page) {
    case "agent":
      return <Agent key={parts[0]} name={parts[0] ?? ""} />;
    case "activity":
      return <Activity />;
    case "new":
      return <New />;
    case "settings":
      return <Settings />;
    case "share":
      return <Share />;
    case "trash":
      return <Trash />;
    case "desk":
      return <Desk />;
    default:
      return wide.value ? <Nothing /> : <Agents />;
  }
}

function Side() {
  const { page, parts } = route.value;
  return (
    <nav class="side" aria-label="Agents">
      <div class="bar">
        <h1>
          <a href="#/" class="brand">
            <img src="/icon.svg" alt="" width="26" height="26" /> wsm
          </a>
        </h1>
        <NewLink />
      </div>
      <div class="find">
        <Search />
      </div>
      <div class="scroll">
        <Summary />
        <List current={page === "agent" ? (parts[0] ?? "") : ""} />
      </div>
      <div class="side-foot">
        <Links places={[DESK, ...PLACES.slice(1)]} />
      </div>
    </nav>
  );
}

/** The window's title and the badge on its icon say whether somebody is needed. */
function useTitle(): void {
  useSignalEffect(() => {
    const { page, parts } = route.value;
    const at = page === "agent" ? (agentNamed(parts[0] ?? "")?.name ?? parts[0]) : page === "agents" ? "" : page;
    const count = needing.value > 0 ? `(${needing.value}) ` : "";
    document.title = `${count}${at ? `${at} · ` : ""}wsm`;
    const badge = navigator as { setAppBadge?: (count: number) => Promise<void> };
    badge.setAppBadge?.(needing.value).catch(() => undefined);
  });
}

/** For whoever came by a link there is one agent, and no other page. */
function Watched() {
  const [agent] = agents.value;
  return (
    <div class="shell alone">
      <div class="page">
        <Away />
        {agent ? <Agent key={agent.id} name={agent.id} /> : <Wait />}
      </div>
    </div>
  );
}

export function App() {
  useTitle();
  if (brought()) return <SignIn />;
  if (who.value === undefined) return <Wait />;
  if (who.value === null) return <SignIn />;
  if (expired.value) return watches(who.value) ? <LinkOver /> : <SignIn again />;
  if (watches(who.value)) return <Watched />;
  const inner = route.value.page === "agent";
  return (
    <>
      <a class="skip hidden" href="#main" onClick={skip}>
        Skip to the page
      </a>
      <div class="shell">
        {wide.value && <Side />}
        <div class="page">
          <Away />
          <Newer />
          <Page />
        </div>
        {!wide.value && !inner && (
          <nav class="tabbar" aria-label="Pages">
            <Links />
          </nav>
        )}
      </div>
      <Confirmation />
      <KeyHelp />
      <Toasts />
    </>
  );
}

function skip(event: Event): void {
  event.preventDefault();
  const main = document.getElementById("main");
  main?.setAttribute("tabindex", "-1");
  main?.focus();
}
