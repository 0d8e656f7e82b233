// Asks the service. Waits where it is busy, where it is gone, and where it wants a key, and tells of it.

/** What others listen to: "busy" (detail: seconds), "gone", "back", "key" (detail: code), "fine". */
export const server = new EventTarget();

const tell = (name, detail) => server.dispatchEvent(new CustomEvent(name, { detail }));
const MOST_TRIES = 20;

/** A refusal: `code` as docs/serving.md lists them. */
export class Refusal extends Error {
  constructor(status, told = {}, retryAfter = 0) {
    super(told.code ?? String(status));
    this.status = status;
    this.code = told.code ?? "internal";
    this.retryAfter = retryAfter;
    this.size = 0;
  }
}

/** An address below the page's own. */
export const address = (path) => new URL(path, document.baseURI).href;

const pause = (milliseconds, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, milliseconds);
  signal?.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
});

let returning = null;

/** Resolves once the service answers again. */
function comeBack() {
  returning ??= (async () => {
    tell("gone");
    for (;;) {
      await pause(1000);
      try {
        if ((await fetch(address("healthz/live"), { cache: "no-store" })).ok) break;
      } catch { /* not yet */ }
    }
    returning = null;
    tell("back");
  })();
  return returning;
}

let entering = null;

/** Resolves once there is a session. */
function haveKey(code) {
  entering ??= new Promise((resolve) => {
    server.addEventListener("entered", () => { entering = null; resolve(undefined); }, { once: true });
    tell("key", code);
  });
  return entering;
}

/** Begins a session. */
export async function enter(key) {
  await once("v1/session", { method: "POST", body: { key } });
  tell("entered");
}

/** @param {string} path @param {{method?: string, body?: any, signal?: AbortSignal, headers?: Object<string, string>}} request */
async function once(path, { method = "GET", body, signal, headers = {} }) {
  const json = body !== undefined && !(body instanceof FormData || body instanceof Blob);
  const response = await fetch(address(path), {
    method, signal, cache: "no-store", body: json ? JSON.stringify(body) : body,
    headers: { ...(json && { "Content-Type": "application/json" }), ...headers },
  });
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  throw new Refusal(response.status, told, Number(response.headers.get("Retry-After") ?? 0));
}

/**
 * Asks, and waits for the answer as long as that has a point.
 * @param {string} path
 * @param {{method?: string, body?: any, signal?: AbortSignal, headers?: Object<string, string>}} [request]
 * @returns {Promise<any>} the object of the answer, or null
 */
export async function ask(path, request = {}) {
  for (let tries = 1; ; tries++) {
    try {
      const response = await once(path, request);
      if (tries > 1) tell("fine");
      return response.status === 204 ? null : await response.json();
    } catch (error) {
      if (request.signal?.aborted) throw error;
      if (!(error instanceof Refusal)) await comeBack();
      else if (error.status === 401) await haveKey(error.code);
      else if (error.retryAfter && tries < MOST_TRIES) {
        tell("busy", error.retryAfter);
        await pause(1000 * error.retryAfter, request.signal);
      } else throw error;
    }
  }
}

const records = new Map();

/** What the index knows of an image; asked for once. */
export function record(id) {
  if (!records.has(id)) {
    const coming = ask(`v1/images/${id}`);
    coming.catch(() => records.delete(id));
    records.set(id, coming);
  }
  return records.get(id);
}

/** Forgets what was asked for: the index has changed. */
export const forget = () => records.clear();

/** The size of thumbnail, of those that the service makes, that fills so many px. */
export const thumbnail = (id, px) => address(`v1/images/${id}/thumbnail?size=${[160, 320, 640].find((size) => size >= px) ?? 1280}`);
