// What an agent asks, word for word, and the two answers.

import { useState } from "preact/hooks";
import type { Agent, Question } from "../api/api.gen";
import { call } from "../api/client";
import { approves } from "../live/shares";
import { learn, now } from "../live/store";
import { within } from "../model/agents";
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

/** A file is named from its workspace; a command stands there as it runs, to the letter. */
const asked = (agent: Agent, question: Question): string => (question.diff ? within(agent, question.command) : question.command);

/** The change says itself which file it is of. */
const named = ({ command, diff }: Question): boolean => diff.includes(`\n+++ ${command}\n`) || diff.startsWith(`+++ ${command}\n`);

/** A diff that can't be read is shown as it came: what is approved is seen. */
function Change({ agent, question }: { agent: Agent; question: Question }) {
  const patch = question.diff;
  return (
    <div class="question-diff">
      {patch.startsWith("--- ") || patch.startsWith("diff --git ") ? (
        <Diff patch={patch} root={agent.workspace} />
      ) : (
        <pre class="command" tabIndex={0} aria-label="The exact change">
          {patch}
        </pre>
      )}
    </div>
  );
}

/** All of it, to decide by. `wanted`: a notification led here. */
export function QuestionCard({ agent, question, wanted = "" }: { agent: Agent; question: Question; wanted?: string }) {
  const [busy, work] = useState(false);
  const [telling, tellIt] = useState(false);
  const [message, write] = useState("");
  const may = approves(agent);
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
          <button class={wanted === "deny" ? "button danger wanted" : "button danger"} disabled={busy} onClick={() => void act(false)}>
            <Icon name="close" /> {message.trim() ? "Deny, and say so" : "Deny"}
          </button>
          <button class="button primary" disabled={busy} onClick={() => void act(true)}>
            <Icon name="check" /> Approve
          </button>
        </div>
      ) : (
        <p class="muted small">{may ? "It is answered in the terminal." : "You may not answer it."}</p>
      )}
    </section>
  );
}

/** On the list: only what is seen whole can be answered there. */
const WHOLE = 160;

export function Quick({ agent }: { agent: Agent }) {
  const [busy, work] = useState(false);
  const questions = agent.questions ?? [];
  const [question] = questions;
  if (!question) return null;
  const text = asked(agent, question);
  const whole = questions.length === 1 && question.diff === "" && question.command.length <= WHOLE && !question.command.includes("\n");
  const act = async (yes: boolean) => {
    work(true);
    await answer(agent, question, yes);
    work(false);
  };
  return (
    <div class="quick">
      {text && <code class="command">{text.length <= WHOLE ? text : `${text.slice(0, WHOLE)}…`}</code>}
      {whole && question.answerable && question.command && approves(agent) && (
        <div class="actions">
          <button class="button danger" disabled={busy} onClick={() => void act(false)}>
            Deny
          </button>
          <button class="button primary" disabled={busy} onClick={() => void act(true)}>
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
