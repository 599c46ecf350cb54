// Devices that are signed in, adding one, and inviting people.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Device, InvitationMade, Pairing, PairingMade } from "../api/api.gen";
import { call, words } from "../api/client";
import { now, rows, who } from "../live/store";
import { administers } from "../model/rights";
import { since } from "../model/time";
import { givenUp, make, possible } from "../passkey";
import { Code } from "../ui/code";
import { Dialog, confirm } from "../ui/dialog";
import { Handed } from "../ui/handed";
import { Icon } from "../ui/icon";
import { Shown, useLoad } from "../ui/load";
import { say, tell } from "../ui/toast";
import { Section } from "./section";

export function Devices() {
  // Whoever is let in fetches a session a moment later.
  const newest = rows.value.find((row) => /^(session|device|passkey)/.test(row.verb))?.seq ?? 0;
  const devices = useLoad(() => call("get /v1/devices"), [newest], 0, true);
  const [adding, add] = useState(false);
  if (devices.error) return null;
  return (
    <Section title="Devices">
      <Shown of={devices}>
        {(all) => (
          <ul class="panel">
            {all
              .filter((device) => device.state === "good")
              .map((device) => (
                <Row key={device.id} device={device} again={devices.again} />
              ))}
          </ul>
        )}
      </Shown>
      <div class="actions">
        <button class="button" onClick={() => add(true)}>
          <Icon name="phone" /> Add a device
        </button>
        {possible() && (
          <button class="button" onClick={() => void passkey(devices.again)}>
            <Icon name="key" /> Make a passkey
          </button>
        )}
        {administers(who.value) && <Invite />}
      </div>
      {adding && (
        <Pair
          close={() => {
            add(false);
            devices.again();
          }}
        />
      )}
    </Section>
  );
}

async function passkey(done: () => void): Promise<void> {
  try {
    await make();
    say("The passkey is made: it signs you in from now on");
    done();
  } catch (error) {
    if (!givenUp(error)) tell(error);
  }
}

function Row({ device, again }: { device: Device; again: () => void }) {
  const end = async () => {
    if (!(await confirm(`Sign out ${device.name}?`, "Whatever it has open is closed.", "Sign it out", true))) return;
    try {
      await call("delete /v1/devices/{device}", { path: { device: device.id } });
      again();
    } catch (error) {
      tell(error);
    }
  };
  return (
    <li>
      <Icon name={device.kind === "passkey" ? "key" : "phone"} />
      <div class="grow">
        <p>
          <b>{device.name || device.id}</b> {device.current && <span class="pill">this one</span>}
          {device.user !== who.value?.user && <span class="pill">{device.user}</span>}
        </p>
        <p class="muted small">
          {device.kind}, good for: {device.scope}, {device.used ? `used ${since(device.used, now.value)}` : "never used"}
          {device.address && ` from ${device.address}`}
        </p>
      </div>
      {!device.current && (
        <button class="icon-button" aria-label={`Sign out ${device.name}`} onClick={() => void end()}>
          <Icon name="close" />
        </button>
      )}
    </li>
  );
}

const ASK_MS = 1_500;

function Pair({ close }: { close: () => void }) {
  const [made, put] = useState<PairingMade | undefined>(undefined);
  const [pairing, see] = useState<Pairing | undefined>(undefined);
  const admitted = useRef(false);
  const [error, fail] = useState("");
  useEffect(() => {
    call("post /v1/pairings").then(put, (why: unknown) => fail(words(why)));
  }, []);
  useEffect(() => {
    if (!made) return undefined;
    const path = { pairing: made.id };
    const timer = window.setInterval(() => {
      call("get /v1/pairings/{pairing}", { path }).then(see, (why: unknown) => fail(words(why)));
    }, ASK_MS);
    return () => {
      window.clearInterval(timer);
      // One that was let in fetches its session yet.
      if (!admitted.current) void call("delete /v1/pairings/{pairing}", { path }).catch(() => undefined);
    };
  }, [made?.id]);
  const admit = async (number: string) => {
    try {
      await call("post /v1/pairings/{pairing}/confirm", { path: { pairing: made?.id ?? "" }, body: { number } });
      admitted.current = true;
      say("The device is signed in");
      close();
    } catch (why) {
      fail(words(why));
    }
  };
  return (
    <Dialog title="Add a device" close={close}>
      {error && (
        <p class="problem" role="alert">
          {error}
        </p>
      )}
      {made && pairing?.state !== "claimed" && !error && (
        <>
          <p class="soft">Scan it with the new device, or open the address there. It is good once, for two minutes.</p>
          <Code text={made.url} />
          <p class="mono small address">{made.url}</p>
        </>
      )}
      {pairing?.state === "claimed" && !error && (
        <>
          <p>
            <b>{pairing.device_name || "A device"}</b> <span class="soft">from {pairing.address}</span> shows this number. Is it the one in your hand?
          </p>
          <p class="pair-number">{pairing.number}</p>
        </>
      )}
      <div class="actions">
        <button class="button" onClick={close}>
          Cancel
        </button>
        {pairing?.state === "claimed" && !error && (
          <button class="button primary" onClick={() => void admit(pairing.number)}>
            Yes, let it in
          </button>
        )}
      </div>
    </Dialog>
  );
}

function Invite() {
  const [made, put] = useState<InvitationMade | undefined>(undefined);
  const invite = async () => {
    try {
      put(await call("post /v1/invitations", { body: {} }));
    } catch (error) {
      tell(error);
    }
  };
  return (
    <>
      <button class="button" onClick={() => void invite()}>
        <Icon name="people" /> Invite somebody
      </button>
      {made && (
        <Handed
          title="An invitation"
          text="Whoever opens this address comes in as a new member. It is good once, for a week."
          url={made.url}
          close={() => put(undefined)}
        />
      )}
    </>
  );
}
