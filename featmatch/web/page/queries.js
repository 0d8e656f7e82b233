// Pictures that were asked about: each is looked up once, and again when its options change.

import { Refusal, address, ask, thumbnail } from "./api.js";

export const DEFAULTS = { limit: 20, all: false, match: "", region: null };

let last = 0;

/** One picture that is looked up. */
export class Query extends EventTarget {
  /** @param {{file?: File, id?: number, url?: string, query?: string, name: string}} given */
  constructor(given) {
    super();
    this.number = ++last;
    this.given = given;
    this.name = given.name;
    this.options = { ...DEFAULTS };
    /** @type {"waiting" | "searching" | "done" | "failed"} */
    this.state = "waiting";
    this.answer = null;
    this.error = null;
    this.seen = false; // whether its answer was shown
    this.unseen = false; // whether this browser cannot show the file itself
    this.url = given.file ? URL.createObjectURL(given.file) : null;
  }

  /** Addresses of the picture, the smallest first. @returns {string[]} */
  get pictures() {
    const made = this.answer ? [320, 1280].map((size) => address(`v1/queries/${this.answer.query_id}/thumbnail?size=${size}`)) : [];
    if (this.given.id) return [thumbnail(this.given.id, 320), thumbnail(this.given.id, 1280)];
    return this.url ? [this.url, ...(this.unseen ? made.slice(1) : [])] : made;
  }

  /** How many images were found; null while it is not known. */
  get count() {
    return this.answer ? this.matches.filter(isProven).length : null;
  }

  /** Each image once, best first. */
  get matches() {
    return this.#each(this.answer?.matches);
  }

  /** Images that share a design or a scene with it, and are no copies. */
  get related() {
    return this.#each(this.answer?.related);
  }

  #each(found = []) {
    const seen = new Set([this.given.id]);
    return found.filter((match) => !seen.has(match.id) && seen.add(match.id));
  }

  /** Looks it up; what is asked meanwhile takes the place of this. */
  async search(limits) {
    this.abort?.abort();
    const { signal } = this.abort = new AbortController();
    this.#be("searching");
    try {
      this.#checkSize(limits);
      this.answer = await ask("v1/search", { method: "POST", body: this.#body(), signal });
      if (this.name === "") this.name = this.answer.query;
      this.error = null;
      this.#be("done");
    } catch (error) {
      if (signal.aborted) return;
      if (error.code === "query_expired" && this.given.file && this.answer) {
        this.answer = null; // the service forgot it: bring it again
        await this.search(limits);
        return;
      }
      this.error = error;
      this.#be("failed");
    }
  }

  #be(state) {
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }

  #checkSize({ upload_bytes: most }) {
    const size = this.given.file?.size ?? 0;
    if (size <= most) return;
    const refusal = new Refusal(413, { code: "body_too_large" });
    refusal.size = size;
    throw refusal;
  }

  #body() {
    const { limit, all, match, region } = this.options;
    const options = { limit, all, ...(match && { match }), ...(region && { region }) };
    const { file, id, url, query } = this.given;
    if (this.answer) return { query: this.answer.query_id, ...options };
    if (!file) return { ...(id ? { id } : url ? { url } : { query }), ...options };
    const form = new FormData();
    form.append("image", file, file.name || "-");
    for (const [name, value] of Object.entries(options)) form.append(name, Array.isArray(value) ? value.join() : String(value));
    return form;
  }
}

const PROVEN = 0.8;

/** Whether the engine, or a person, says that it is a copy. */
export const isProven = (match) => match.verdict === "accepted" || (match.verdict !== "rejected" && match.probability >= PROVEN);
