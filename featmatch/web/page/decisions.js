// What the reader decided about groups: marks, originals, what is kept. Saved at once, and every step can be undone.

import { keep, recall } from "./dom.js";

const MOST_UNDONE = 200;

/** Decisions go by names: they outlive a new search for groups. */
export class Decisions extends EventTarget {
  /** @param {string} key under which the browser keeps them */
  constructor(key) {
    super();
    this.key = `decisions ${key}`;
    const { marked = [], originals = [], done = [] } = recall(this.key, {});
    /** Names of files. @type {Set<string>} */
    this.marked = new Set(marked);
    /** By the key of a group, the first name of its original. @type {Map<string, string>} */
    this.originals = new Map(originals);
    /** By the key of a group, "kept" or "rejected". @type {Map<string, string>} */
    this.done = new Map(done);
    /** @type {{words: string, before: any[], also?: () => Promise<void>, again?: () => Promise<void>}[]} */
    this.steps = [];
  }

  /**
   * Decides.
   * @param {string} words the key of what it is called
   * @param {() => void} change changes the decisions
   * @param {() => Promise<void>} [also] undone, too
   */
  decide(words, change, also) {
    this.steps.push({ words, before: this.#copy(), also });
    if (this.steps.length > MOST_UNDONE) this.steps.shift();
    change();
    this.#changed();
  }

  /** Takes the last step back; gives what it was called, or null. */
  async undo() {
    const step = this.steps.pop();
    if (!step) return null;
    await step.also?.();
    const [marked, originals, done] = step.before;
    Object.assign(this, { marked, originals, done });
    this.#changed();
    return step.words;
  }

  #copy() {
    return [new Set(this.marked), new Map(this.originals), new Map(this.done)];
  }

  #changed() {
    keep(this.key, { marked: [...this.marked], originals: [...this.originals], done: [...this.done] });
    this.dispatchEvent(new Event("change"));
  }
}
