// The way to a page that an agent serves.

import type { Agent, Port } from "../api/api.gen";
import { call } from "../api/client";
import { tell } from "../ui/toast";

/** By the preview, from wherever one is: an origin of its own, behind the same login. */
export function Portal({ agent, port }: { agent: Agent; port: Port }) {
  if (!port.url) return null;
  const open = async () => {
    // Opened before the answer is there: later the browser takes it for a pop-up.
    const page = window.open("about:blank", "_blank");
    if (page) page.opener = null;
    try {
      const { url } = await call("post /v1/agents/{agent}/previews", { path: { agent: agent.id }, body: { port: port.name } });
      if (page) page.location.href = url;
      else location.href = url;
    } catch (error) {
      page?.close();
      tell(error);
    }
  };
  return (
    <button class="button" onClick={() => void open()}>
      Open
    </button>
  );
}
