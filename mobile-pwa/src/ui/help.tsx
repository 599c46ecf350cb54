// All keys.

import { SHORTCUTS, helping } from "../keys";
import { Dialog } from "./dialog";

export function KeyHelp() {
  if (!helping.value) return null;
  const close = () => {
    helping.value = false;
  };
  return (
    <Dialog title="Keys" close={close}>
      <dl class="keys-list">
        {SHORTCUTS.map(([key, does]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <div class="actions">
        <button class="button" onClick={close}>
          Close
        </button>
      </div>
    </Dialog>
  );
}
