// An address that is shown once, to be handed to somebody.

import { Code } from "./code";
import { Dialog } from "./dialog";
import { copy } from "./toast";

export function Handed({ title, text, url, close }: { title: string; text: string; url: string; close: () => void }) {
  return (
    <Dialog title={title} close={close}>
      <p class="soft">{text}</p>
      <Code text={url} />
      <p class="mono small address">{url}</p>
      <div class="actions">
        <button class="button" onClick={close}>
          Close
        </button>
        <button class="button primary" onClick={() => void copy(url)}>
          Copy
        </button>
      </div>
    </Dialog>
  );
}
