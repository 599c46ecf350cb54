// What somebody began to write to an agent, until it is sent.

const key = (agent: string) => `wsm.draft.${agent}`;

export const draft = (agent: string): string => {
  try {
    return localStorage.getItem(key(agent)) ?? "";
  } catch {
    return "";
  }
};

export function keepDraft(agent: string, text: string): void {
  try {
    if (text === "") localStorage.removeItem(key(agent));
    else localStorage.setItem(key(agent), text);
  } catch {
    // No room: it is in the field still.
  }
}
