// What may be decided on a question where it is shown: pure.

import type { Question } from "../api/api.gen";

/** Longest command that the list shows. */
export const WHOLE = 160;

/** Whether the list shows all that a yes is to. */
export const fits = (questions: readonly Question[]): boolean =>
  questions.length === 1 && questions.every(({ command, diff }) => command && !diff && command.length <= WHOLE && !command.includes("\n"));

/** How long a question has to stand where it is before it is answered: who taps twice answers once. */
export const READ_MS = 600;
