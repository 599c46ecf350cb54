// What may be decided on a question where it is shown: pure.

import type { Question } from "../api/api.gen";

/** Longest command that the list shows. */
export const WHOLE = 160;

/** Whether the list shows all that a yes is to. */
export function fits(questions: readonly Question[]): boolean {
  const [question] = questions;
  if (!question || questions.length > 1) return false;
  const { command, diff } = question;
  return command !== "" && diff === "" && command.length <= WHOLE && !command.includes("\n");
}

/** How long an answer has to stand where it is before it counts: nobody reads faster than that. */
export const READ_MS = 600;

/**
 * Whether an answer may be meant for this question: it stands there for a moment already, and nothing
 * was answered just now. Who taps twice answers once.
 */
export const meant = (now: number, shownAt: number, answeredAt: number): boolean =>
  now - shownAt >= READ_MS && now - answeredAt >= READ_MS;
