// The list, where it is a page of its own.

import { who } from "../live/store";
import { creates } from "../model/rights";
import { Icon } from "../ui/icon";
import { List, Search, Summary } from "../ui/list";

export function Agents() {
  return (
    <main class="page" id="main">
      <header class="bar">
        <h1>Agents</h1>
        <NewLink />
      </header>
      <div class="find">
        <Search />
      </div>
      <div class="scroll">
        <Summary />
        <List current="" />
      </div>
    </main>
  );
}

/** For whoever may make one. */
export function NewLink() {
  if (!creates(who.value)) return null;
  return (
    <a class="icon-button" href="#/new" aria-label="New agent" title="New agent">
      <Icon name="plus" />
    </a>
  );
}

/** Beside the list, while nothing is chosen. */
export function Nothing() {
  return (
    <main class="page" id="main">
      <div class="empty welcome">
        <h2>Choose an agent</h2>
        <p>
          <kbd>j</kbd> and <kbd>k</kbd> move, <kbd>Enter</kbd> opens, <kbd>/</kbd> searches, <kbd>d</kbd> shows terminals side by side, <kbd>?</kbd> shows all keys.
        </p>
      </div>
    </main>
  );
}
