// What an agent asks, word for word, and the two answers.

import { signal } from "@preact/signals";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Agent, Question } from "../api/api.gen";
import { call } from "../api/client";
import { approves } from "../live/shares";
import { learn, now } from "../live/store";
import { within } from "../model/agents";
import { READ_MS, WHOLE, fits, meant } from "../model/asked";
import { exact } from "../model/patch";
import { since } from "../model/time";
import { to } from "../route";
import "../style/question.css";
import { Icon } from "./icon";
import { lazy } from "./load";
import { say, tell } from "./toast";

const Diff = lazy(() => import("./diff").then((it) => it.Diff));

const SURE: Record<string, string> = {
  reported: "",
  signalled: "The terminal says so; look there if in doubt.",
  guess: "A guess from what the terminal shows: look there.",
};

export function heading(question: Question): string {
  if (question.kind === "permission") return question.tool ? `Wants to use ${question.tool}` : "Asks for permission";
  return "Has a question";
}

/** Answers it. `false`: it was not taken. */
export async function answer(agent: Agent, question: Question, yes: boolean, message = ""): Promise<boolean> {
  const path = { agent: agent.id };
  try {
    const told = yes
      ? await call("post /v1/agents/{agent}/approve", { path, body: { question: question.id } })
      : await call("post /v1/agents/{agent}/deny", { path, body: { question: question.id, ...(message ? { message } : {}) } });
    learn(told);
    say(yes ? "Approved" : "Denied");
    return true;
  } catch (error) {
    tell(error);
    return false;
  }
}

/** When something was answered last, anywhere on the page. */
const answered = signal(-Infinity);

/**
 * Whether an answer may be meant for `question`, which stands at place `at`: buttons are shown at
 * once, and work a moment later. The second value lets one answer through.
 */
function useMeant(question: string, at: number): [boolean, () => boolean] {
  const [ready, become] = useState(false);
  const shown = useRef(Infinity);
  const last = answered.value;
  useLayoutEffect(() => {
    shown.current = performance.now();
    become(false);
    const timer = window.setTimeout(() => become(true), READ_MS);
    return () => window.clearTimeout(timer);
  }, [question, at, last]);
  const take = () => {
    const time = performance.now();
    // A timer may be a little early.
    if (!meant(time + 20, shown.current, answered.peek())) return false;
    answered.value = time;
    return true;
  };
  return [ready, take];
}

/** A file is named from its workspace; a command stands there as it runs, to the letter. */
const asked = (agent: Agent, question: Question): string => (question.diff ? within(agent, question.command) : question.command);

/** The change says itself which file it is of. */
const named = ({ command, diff }: Question): boolean => diff.includes(`\n+++ ${command}\n`) || diff.startsWith(`+++ ${command}\n`);

/** As edits are told, each file with its lines; anything else line by line as it came. All of it: a yes is to all of it. */
function Change({ agent, question }: { agent: Agent; question: Question }) {
  const patch = question.diff;
  if (patch.startsWith("--- ")) {
    return (
      <div class="question-diff">
        <Diff patch={patch} root={agent.workspace} whole />
      </div>
    );
  }
  return (
    <pre class="command change" tabIndex={0} aria-label="The exact change">
      {exact(patch).map((line, index) => (
        <span key={index} class={line.kind}>{`${line.text}\n`}</span>
      ))}
    </pre>
  );
}

/** All of it, to decide by. `wanted`: a notification led here. */
export function QuestionCard({ agent, question, at, wanted = "" }: { agent: Agent; question: Question; at: number; wanted?: string }) {
  const [busy, work] = useState(false);
  const [telling, tellIt] = useState(false);
  const [message, write] = useState("");
  const may = approves(agent);
  const [ready, isMeant] = useMeant(question.id, at);
  const act = async (yes: boolean) => {
    if (!isMeant()) return;
    work(true);
    const done = await answer(agent, question, yes, yes ? "" : message.trim());
    if (!done) work(false);
  };
  return (
    <section class="question" aria-label={heading(question)}>
      <header>
        <span class="dot attention" aria-hidden="true" />
        <h2>{heading(question)}</h2>
        <time class="when" dateTime={question.since}>
          {since(question.since, now.value)}
        </time>
      </header>
      {question.detail && <p class="soft">{question.detail}</p>}
      {question.command && !named(question) && (
        <pre class="command" tabIndex={0} aria-label="The exact command">
          {asked(agent, question)}
        </pre>
      )}
      {question.diff && <Change agent={agent} question={question} />}
      {SURE[question.confidence] && <p class="muted small">{SURE[question.confidence]}</p>}
      {may && question.answerable && telling && (
        <label class="field">
          <span>What to tell the agent</span>
          <textarea rows={2} value={message} onInput={(event) => write(event.currentTarget.value)} />
        </label>
      )}
      {may && question.answerable ? (
        <div class="actions">
          {!telling && (
            <button class="icon-button" aria-label="Deny and say why" title="Deny and say why" disabled={busy} onClick={() => tellIt(true)}>
              <Icon name="text" />
            </button>
          )}
          <button class={wanted === "deny" ? "button danger wanted" : "button danger"} disabled={busy || !ready} onClick={() => void act(false)}>
            <Icon name="close" /> {message.trim() ? "Deny, and say so" : "Deny"}
          </button>
          <button class="button primary" disabled={busy || !ready} onClick={() => void act(true)}>
            <Icon name="check" /> Approve
          </button>
        </div>
      ) : (
        <p class="muted small">{may ? "It is answered in the terminal." : "You may not answer it."}</p>
      )}
    </section>
  );
}

/** On the list: only what is seen whole can be answered there. `at`: its place. */
export function Quick({ agent, at }: { agent: Agent; at: number }) {
  const [busy, work] = useState(false);
  const questions = agent.questions ?? [];
  const [question] = questions;
  const [ready, isMeant] = useMeant(question?.id ?? "", at);
  if (!question) return null;
  const text = asked(agent, question);
  const whole = fits(questions);
  const act = async (yes: boolean) => {
    if (!isMeant()) return;
    work(true);
    await answer(agent, question, yes);
    work(false);
  };
  return (
    <div class="quick">
      {text && <code class="command">{text.length <= WHOLE ? text : `${text.slice(0, WHOLE)}…`}</code>}
      {whole && question.answerable && approves(agent) && (
        <div class="actions">
          <button class="button danger" disabled={busy || !ready} onClick={() => void act(false)}>
            Deny
          </button>
          <button class="button primary" disabled={busy || !ready} onClick={() => void act(true)}>
            Approve
          </button>
        </div>
      )}
      {!fits(questions) && question.answerable && approves(agent) && (
        <div class="actions">
          <a class="button" href={`${to("agents", agent.name)}?question=${encodeURIComponent(question.id)}`}>
            {question.diff ? "See the change" : "See all of it"}
          </a>
        </div>
      )}
    </div>
  );
}
