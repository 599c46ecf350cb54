// The row of keys that a phone's keyboard lacks, and a field to type into directly.

import { useEffect, useRef, useState } from "preact/hooks";
import { Icon } from "../ui/icon";
import { say } from "../ui/toast";
import type { Session } from "./session";
import { type Key, edit, edited, key, paste } from "./typing";

/** Longer than this and the field begins anew: nobody corrects what was so long ago. */
const FIELD_MAX = 400;

export function Keys({ session }: { session: Session }) {
  const [direct, setDirect] = useState(false);
  const press = (name: Key) => {
    const ctrl = session.ctrl.peek();
    session.ctrl.value = false;
    session.text(key(name, session.application, { ctrl }));
  };
  const clip = async () => {
    try {
      session.text(paste(await navigator.clipboard.readText(), session.bracketed));
    } catch {
      say("The browser gives no access to the clipboard", true);
    }
  };
  return (
    <>
      {direct && <Direct session={session} close={() => setDirect(false)} />}
      <div class="keys" role="toolbar" aria-label="Keys">
        <Press label="Esc" act={() => press("Escape")}>
          Esc
        </Press>
        <Press label="Tab" act={() => press("Tab")}>
          Tab
        </Press>
        <Press
          label="Ctrl, for the next key"
          pressed={session.ctrl.value}
          act={() => {
            session.ctrl.value = !session.ctrl.peek();
          }}
        >
          Ctrl
        </Press>
        <Press label="^C, interrupt" act={() => session.text("\x03")}>
          ^C
        </Press>
        <Press label="Up" act={() => press("ArrowUp")} repeats>
          ↑
        </Press>
        <Press label="Down" act={() => press("ArrowDown")} repeats>
          ↓
        </Press>
        <Press label="Left" act={() => press("ArrowLeft")} repeats>
          ←
        </Press>
        <Press label="Right" act={() => press("ArrowRight")} repeats>
          →
        </Press>
        <Press label="Enter" act={() => press("Enter")}>
          ⏎
        </Press>
        <Press label="Backspace" act={() => press("Backspace")} repeats>
          ⌫
        </Press>
        <Press label="Paste" act={() => void clip()}>
          Paste
        </Press>
        <Press label="Type directly" pressed={direct} act={() => setDirect(!direct)}>
          <Icon name="keyboard" />
        </Press>
        <Press
          label={session.whole.value ? "Larger letters" : "Show all of it"}
          pressed={!session.whole.value}
          act={() => session.setWhole(!session.whole.peek())}
        >
          <Icon name="search" />
        </Press>
        <Press label="Fit to this screen: the program is resized" act={() => session.fit()}>
          Fit
        </Press>
        <Press label="Draw everything anew" act={() => session.repaint()}>
          <Icon name="restart" />
        </Press>
      </div>
    </>
  );
}

interface PressProps {
  label: string;
  act: () => void;
  pressed?: boolean;
  repeats?: boolean;
  children: preact.ComponentChildren;
}

const REPEAT_AFTER_MS = 400;
const REPEAT_MS = 70;

/** A key that leaves the focus, and with it the phone's keyboard, where it is. */
function Press({ label, act, pressed, repeats = false, children }: PressProps) {
  const timer = useRef(0);
  const held = useRef(false);
  const stop = () => window.clearTimeout(timer.current);
  const again = () => {
    held.current = true;
    act();
    timer.current = window.setTimeout(again, REPEAT_MS);
  };
  return (
    <button
      type="button"
      aria-label={label}
      aria-pressed={pressed}
      onPointerDown={(event) => {
        event.preventDefault();
        held.current = false;
        if (repeats) timer.current = window.setTimeout(again, REPEAT_AFTER_MS);
      }}
      onPointerUp={stop}
      onPointerLeave={stop}
      onPointerCancel={stop}
      onContextMenu={(event) => event.preventDefault()}
      onClick={() => !held.current && act()}
    >
      {children}
    </button>
  );
}

function Direct({ session, close }: { session: Session; close: () => void }) {
  const before = useRef("");
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => field.current?.focus(), []);
  return (
    <label class="direct">
      <span class="hidden">Type directly into the terminal</span>
      <textarea
        rows={1}
        placeholder="Each key goes to the terminal"
        autocapitalize="off"
        autocomplete="off"
        spellcheck={false}
        enterkeyhint="enter"
        ref={field}
        onInput={(event) => {
          const typed = event.currentTarget;
          const change = edited(edit(before.current, typed.value));
          const control = session.ctrl.peek();
          if (change) session.text(change);
          const over = typed.value.endsWith("\n") || typed.value.length > FIELD_MAX || control;
          if (over && !(event as InputEvent).isComposing) typed.value = "";
          before.current = typed.value;
        }}
        onKeyDown={(event) => {
          // An empty field has nothing to delete, but the terminal may.
          if (event.key === "Backspace" && event.currentTarget.value === "") session.text("\x7f");
          if (event.key === "Escape") close();
        }}
      />
    </label>
  );
}
