// A phone that is rung up: Chromium of its size, with wsm's pages and their service worker. It can't
// reach the push service of its maker's here, so it subscribes at ours with keys of the test's, and
// what http_ece opened (which shares no code with wsm) is handed to the worker as Chromium does it.
import { createECDH, randomBytes } from "node:crypto";
import ece from "http_ece";
import { Person } from "./people.mjs";
import { until } from "./wait.mjs";

export class Phone {
  /** `browser` of `launch`, and an instance that the push service is made known to. */
  static async come(browser, instance, service, token) {
    const phone = new Phone();
    phone.person = await Person.come(browser, instance, "phone", { permissions: ["notifications"] });
    phone.page = phone.person.page;
    await phone.person.signIn(token);
    await phone.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    phone.wire = await phone.person.context.newCDPSession(phone.page);
    const registered = new Promise((resolve) => phone.wire.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => registrations[0] && resolve(registrations[0])));
    await phone.wire.send("ServiceWorker.enable");
    phone.registration = (await registered).registrationId;
    await phone.watch();
    await phone.subscribe(service);
    return phone;
  }

  async subscribe(service) {
    this.service = service;
    const own = createECDH("prime256v1");
    own.generateKeys();
    const secret = randomBytes(16);
    this.id = `phone-${randomBytes(4).toString("hex")}`;
    /** What came, oldest first. */
    this.rings = [];
    const endpoint = service.listen(this.id, (body, message) => {
      const text = ece.decrypt(body, { version: "aes128gcm", privateKey: own, authSecret: secret }).toString();
      const ring = { ...message, ...JSON.parse(text) };
      this.rings.push(ring);
      const { registration: registrationId } = this;
      const given = this.wire.send("ServiceWorker.deliverPushMessage", { origin: new URL(this.page.url()).origin, registrationId, data: text });
      given.catch((error) => (ring.lost = error.message));
    });
    const keys = { p256dh: own.getPublicKey("base64url"), auth: secret.toString("base64url") };
    const status = await this.page.evaluate(async (body) => {
      const headers = { "content-type": "application/json", "x-wsm": "1" };
      return (await fetch("/v1/push/subscriptions", { method: "POST", headers, body: JSON.stringify(body) })).status;
    }, { endpoint, keys, label: "phone", page: `${new URL(this.page.url()).origin}/` });
    if (status !== 200) throw new Error(`subscribing was answered with ${status}`);
  }

  /** Keeps what the worker shows from now on, however soon something else takes its place. */
  async watch() {
    const worker = await until("the worker", () => this.person.context.serviceWorkers()[0]);
    await worker.evaluate(() => {
      const { showNotification } = ServiceWorkerRegistration.prototype;
      self.told = [];
      ServiceWorkerRegistration.prototype.showNotification = async function (title, options) {
        await showNotification.call(this, title, options);
        const { body, tag, silent = false, data, actions = [] } = options;
        self.told.push({ title, body, tag, silent, data, actions });
      };
    });
    this.told = () => worker.evaluate(() => self.told);
  }

  /** What it shows, as the platform has it. */
  shown() {
    return this.page.evaluate(async () => {
      const all = await (await navigator.serviceWorker.ready).getNotifications();
      return all.map(({ title, body, tag, silent, data, actions }) => ({ title, body, tag, silent, data, actions }));
    });
  }

  /**
   * Waits for a notification that this is true of. Nothing asks the platform again and again: Chromium
   * forgets a notification that is being put up while it is asked.
   */
  async shows(what, fits, patience = 60_000) {
    return until(what, async () => (await this.told()).find(fits), patience).catch((error) => this.explain(error));
  }

  /** What came and what went out, for who has to find out why something is not shown. */
  async explain(error) {
    const sent = await this.page.evaluate(async () => (await fetch("/v1/notifications/deliveries")).text());
    const rings = this.rings.map(({ at, topic, lost, notification }) => ({ at, topic, lost, ...notification }));
    throw new Error(`${error.message}; ${JSON.stringify({ at: Date.now(), rings, told: await this.told(), shown: await this.shown(), place: this.page.url(), sent })}`);
  }

  /** Presses on a notification, or on one of its buttons. */
  async press(tag, action = "") {
    const worker = await until("the worker", () => this.person.context.serviceWorkers()[0]);
    await worker.evaluate(
      async ([tag, action]) => {
        const [notification] = await self.registration.getNotifications({ tag });
        self.dispatchEvent(new NotificationEvent("notificationclick", { notification, action }));
      },
      [tag, action],
    );
  }

  async leave() {
    this.service.forget(this.id);
    await this.person.leave();
  }
}
