// What an agent asks, word for word, and the two answers.

import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import type { Agent, Question } from "../api/api.gen";
import { call } from "../api/client";
import { approves } from "../live/shares";
import { learn, now } from "../live/store";
import { within } from "../model/agents";
import { READ_MS, WHOLE, fits } from "../model/asked";
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
  answered.value += 1;
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

/** How often something was answered on this page. */
const answered = signal(0);

/** Whether an answer may be meant for this question, here: buttons are shown at once, and work a moment later. */
function useReady(question: string, at: number): boolean {
  const [ready, become] = useState("");
  const key = question + [at, answered.value];
  useEffect(() => {
    const timer = setTimeout(become, READ_MS, key);
    return () => clearTimeout(timer);
  }, [key]);
  return ready === key;
}

/** A file is named from its workspace; a command stands there as it runs, to the letter. */
const asked = (agent: Agent, question: Question): string => (question.diff ? within(agent, question.command) : question.command);

/** The change says itself which file it is of. */
const named = ({ command, diff }: Question): boolean => diff.includes(`\n+++ ${command}\n`) || diff.startsWith(`+++ ${command}\n`);

/** All of it, to decide by. `wanted`: a notification led here. */
export function QuestionCard({ agent, question, at, wanted = "" }: { agent: Agent; question: Question; at: number; wanted?: string }) {
  const [busy, work] = useState(false);
  const [telling, tellIt] = useState(false);
  const [message, write] = useState("");
  const may = approves(agent);
  const ready = useReady(question.id, at);
  const act = async (yes: boolean) => {
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
      {question.diff && (
        <div class="question-diff">
          <Diff patch={question.diff} root={agent.workspace} whole />
        </div>
      )}
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
  const ready = useReady(question?.id ?? "", at);
  if (!question) return null;
  const text = asked(agent, question);
  const whole = fits(questions);
  const act = async (yes: boolean) => {
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
      {!whole && question.answerable && approves(agent) && (
        <div class="actions">
          <a class="button" href={`${to("agents", agent.name)}?question=${encodeURIComponent(question.id)}`}>
            {question.diff ? "See the change" : "See all of it"}
          </a>
        </div>
      )}
    </div>
  );
}
