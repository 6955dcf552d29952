// The service as the compare page sees it: one session, its token, and patience.
//
// The token comes in the fragment of the address, which no browser sends, and goes into a header.

const TOKEN = /^#(gustibus_session_([A-Za-z0-9._:@-]+)\.\d+\.[A-Za-z0-9_=-]+)$/;
const RENEW_AFTER = 5 * 60_000; // milliseconds; a token lives for half an hour
const LONGEST_PAUSE = 8_000;

/** A refusal: the status and what the service says about it. */
export class Refused extends Error {
  constructor(status, body) {
    super(body.detail ?? `status ${status}`);
    this.status = status;
    this.code = body.code;
  }
}

class Session {
  #token;
  #path;
  #renewed = -Infinity;

  constructor(token, id) {
    this.id = id;
    this.onTrouble = () => {}; // called with whether the service cannot be reached
    this.#token = token;
    this.#path = `/v1/onboarding/sessions/${encodeURIComponent(id)}`;
  }

  next(prefetch = 0) {
    return this.#ask("GET", `/next?prefetch=${prefetch}`);
  }

  answer(question, answer, ms) {
    return this.#ask("PUT", `/answers/${question.seq}`, { answer, ms, id: question.id });
  }

  undo(seq) {
    return this.#ask("POST", ":undo", { seq });
  }

  finish() {
    return this.#ask("POST", ":finish");
  }

  result() {
    return this.#ask("GET", "/result");
  }

  doubt(line) {
    return this.#ask("POST", ":doubt", line);
  }

  restart() {
    return this.#ask("POST", ":restart");
  }

  remove() {
    return this.#ask("DELETE", "");
  }

  /** Ask until the service answers: every request may be sent twice without harm. */
  async #ask(method, verb, body) {
    for (let pause = 500; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      let reply = null;
      try {
        reply = await this.#send(method, verb, body);
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // fetch's word for: no connection
      }
      if (reply !== null && reply.status < 500 && reply.status !== 429) {
        this.onTrouble(false);
        const value = await reply.json();
        if (!reply.ok) throw new Refused(reply.status, value);
        this.#renew();
        return value;
      }
      this.onTrouble(true);
      const after = 1000 * Number(reply?.headers.get("Retry-After") ?? 0);
      await new Promise((done) => setTimeout(done, Math.max(pause, after)));
    }
  }

  #send(method, verb, body) {
    const headers = { Authorization: `Bearer ${this.#token}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    // keepalive: an answer that is on its way arrives even when the page is closed.
    return fetch(this.#path + verb, {
      method, headers, body: body && JSON.stringify(body), keepalive: method !== "GET",
      cache: "no-store", credentials: "omit", redirect: "error",
    });
  }

  /** Exchange the token for a fresh one now and then, so that a link lasts while it is in use. */
  async #renew() {
    if (performance.now() - this.#renewed < RENEW_AFTER) return;
    this.#renewed = performance.now();
    try {
      const reply = await this.#send("POST", ":renew");
      if (!reply.ok) return; // the old one still works, or the next request says why not
      this.#token = (await reply.json()).token;
      history.replaceState(null, "", `#${this.#token}`);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
  }
}

const named = TOKEN.exec(location.hash);

/** The session that the address names, null without one. */
export const session = named && new Session(named[1], named[2]);

/** Where it is, asked as soon as this module is here: the others and the style come meanwhile. */
export const first = session?.next(2);
first?.catch(() => {}); // the page awaits it too, and says what is wrong
