// What another app shares with this one: text that waits for somebody to say which agent it is for.

import { signal } from "@preact/signals";
import { joined } from "../model/shared";
import { go } from "../route";

export const shared = signal("");

/** A share arrives as the address's query (see `share_target` of the manifest), which is taken off at once. */
export function receive(): void {
  const query = new URLSearchParams(location.search);
  const text = joined(query.get("title"), query.get("text"), query.get("url"));
  if (text === "") return;
  history.replaceState(null, "", location.pathname);
  shared.value = text;
  go("#/share", { replace: true });
}

/** Text that was given away is not offered again. */
export function taken(): string {
  const text = shared.peek();
  shared.value = "";
  return text;
}
