// The way to a page that an agent serves.

import type { Agent, Port } from "../api/api.gen";

/** A page on the machine itself can go to the leased port; others can't. */
export function Portal({ port }: { agent: Agent; port: Port }) {
  const here = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  if (!port.url || !here) return null;
  return (
    <a class="button" href={port.url} target="_blank" rel="noreferrer">
      Open
    </a>
  );
}
