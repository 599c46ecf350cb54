// What a terminal showed, as a document: the browser's own scrolling, selection and search.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Agent } from "../api/api.gen";
import { call } from "../api/client";
import { keepText, keptText } from "../live/texts";
import { who } from "../live/store";
import { watches } from "../model/rights";
import { stamp } from "../model/time";
import { isDark } from "../settings";
import "../style/terminal.css";
import { Shown, useLoad } from "../ui/load";
import { Icon } from "../ui/icon";
import { type Piece, type Sheet, css, isPlain, lines } from "./ansi";
import { sheet, sixteen } from "./palette";

const HISTORY_LINES = 2_000;
const EVERY_MS = 1_500;
const KEEP_MS = 1_000;
/** So near to the end counts as the end. */
const NEAR_PX = 40;

export function TextView({ agent, terminal }: { agent: Agent; terminal: string }) {
  const ask = () =>
    call("get /v1/agents/{agent}/capture", {
      path: { agent: agent.id },
      query: { terminal, history_lines: HISTORY_LINES, styled: true },
    });
  const screen = useLoad(ask, [agent.id, terminal], EVERY_MS);
  const text = screen.value?.text;
  useEffect(() => {
    // Left alone while it changes: once is enough for when it is left.
    if (text === undefined || watches(who.peek())) return undefined;
    const timer = window.setTimeout(() => keepText(agent.id, terminal, text), KEEP_MS);
    return () => window.clearTimeout(timer);
  }, [agent.id, terminal, text]);
  const name = `${agent.name}, ${terminal}`;
  const before = screen.error && text === undefined ? keptText(agent.id, terminal) : undefined;
  if (before) {
    return (
      <>
        <p class="term-bar" role="status">
          Its text of {stamp(before.at)}: {screen.error}.
        </p>
        <Document text={before.text} name={name} />
      </>
    );
  }
  return <Shown of={screen}>{(value) => <Document text={value.text} name={name} />}</Shown>;
}

function Document({ text, name }: { text: string; name: string }) {
  const view = useRef<HTMLDivElement>(null);
  const [atEnd, stay] = useState(true);
  const palette = sixteen(isDark.value);
  const paper = sheet(isDark.value);
  const shown = useMemo(() => lines(text, palette), [text, isDark.value]);
  const toEnd = () => view.current?.scrollTo({ top: view.current.scrollHeight });
  useLayoutEffect(() => {
    if (atEnd) toEnd();
  }, [shown]);
  return (
    <div class="term">
      <div
        class="text-view"
        ref={view}
        role="log"
        aria-live="off"
        aria-label={`Text of ${name}`}
        tabIndex={0}
        onScroll={(event) => {
          const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
          stay(scrollHeight - scrollTop - clientHeight < NEAR_PX);
        }}
      >
        <pre>
          {shown.map((line, at) => (
            <Line key={at} line={line} paper={paper} />
          ))}
        </pre>
      </div>
      {!atEnd && (
        <button class="button to-end" onClick={toEnd}>
          <Icon name="down" /> Newest
        </button>
      )}
    </div>
  );
}

function Line({ line, paper }: { line: Piece[]; paper: Sheet }) {
  return (
    <div>
      {line.length === 0 ? "\n" : line.map((it, at) => (isPlain(it.style) ? it.text : <span key={at} style={css(it.style, paper)}>{it.text}</span>))}
    </div>
  );
}
