// Two pictures in one frame, or beside one another: layers laid by a homography, zoomed and moved.

import { h } from "./dom.js";
import { IDENTITY, area, corners, fromCorners, inverse, matrix3d, motion, product, project, scaling, within } from "./geometry.js";
import { t } from "./i18n.js";
import { Fingers } from "./fingers.js";
import { Marks } from "./marks.js";

/** @typedef {{name: string, short?: string, width: number, height: number, pictures: string[]}} Side */
/**
 * Two pictures and how they lie on one another.
 * @typedef {{query: Side, reference: Side, matrix: number[] | null, negative?: boolean, points?: (() => Promise<{points: any[]}>) | null,
 *   differences?: {query: number[][], reference: number[][]}[] | null}} Pair
 */

export const OVERLAID = ["curtain", "blend", "flip", "difference"];
const SHARP_PX = 1280; // longer side of a layer before it is bent: larger ones cost memory, and are seen no better
const MOST = 64; // screen px of one px of the frame

export class Stage {
  constructor() {
    this.layers = { query: h("img", { alt: "", draggable: "false" }), reference: h("img", { alt: "", draggable: "false" }) };
    this.sheets = {
      query: h("div", { class: "sheet" }, this.layers.query), reference: h("div", { class: "sheet" }, this.layers.reference),
    };
    this.pile = h("div", { class: "pile" }, this.sheets.reference, this.sheets.query);
    this.marks = new Marks(this);
    this.line = h("div", { class: "line", role: "slider", tabindex: "0", "aria-valuemin": "0", "aria-valuemax": "100",
      "aria-label": t("compare.line"), "data-own-keys": true, onkeydown: (event) => this.#lineKey(event) }, h("span", {}));
    this.cursors = [h("div", { class: "cursor", hidden: true }), h("div", { class: "cursor", hidden: true })];
    this.note = h("p", { class: "nothing", hidden: true });
    this.element = h("div", { class: "stage" }, this.pile, this.marks.element, this.line, this.cursors, this.marks.patches, this.note);
    this.state = { view: "curtain", frame: "query", top: "query", line: 0.5, opacity: 0.5, gain: 2, outlines: true, flipped: false };
    this.zoom = { x: 0, y: 0, scale: 1 };
    this.fitted = true;
    this.loads = 0;
    /** @type {Pair | null} */
    this.pair = null;
    this.onChange = () => {};
    new Fingers(this.element, this);
    new ResizeObserver(() => this.fitted ? this.fit() : this.draw()).observe(this.element);
  }

  /** Shows a pair. @param {Pair} pair */
  show(pair) {
    this.pair = pair;
    this.note.hidden = true;
    const load = ++this.loads;
    for (const side of ["query", "reference"]) this.#load(this.layers[side], pair[side], load);
    this.fit();
  }

  set(changes) {
    Object.assign(this.state, changes);
    if ("view" in changes || "frame" in changes) this.fit();
    else this.draw();
    this.onChange();
  }

  /** The picture in whose px the stage is. @returns {Side} */
  get framed() {
    return this.pair[this.state.view === "beside" ? "query" : this.state.frame];
  }

  /** All of the frame, and of what the other picture has around it within reason. */
  fit() {
    this.fitted = true;
    if (!this.pair) return;
    const { width, height } = this.framed;
    let [left, top, right, bottom] = [0, 0, width, height];
    if (["curtain", "blend", "flip"].includes(this.state.view) && this.pair.matrix) {
      const other = this.state.frame === "query" ? "reference" : "query";
      for (const corner of corners(this.pair[other].width, this.pair[other].height)) {
        const [x, y] = project(this.matrixOf(other), corner);
        left = Math.max(Math.min(left, x), -width / 2);
        right = Math.min(Math.max(right, x), 1.5 * width);
        top = Math.max(Math.min(top, y), -height / 2);
        bottom = Math.min(Math.max(bottom, y), 1.5 * height);
      }
    }
    const room = this.room;
    const scale = Math.min(room.width / (right - left), room.height / (bottom - top));
    this.zoom = { scale, x: (room.width - (left + right) * scale) / 2, y: (room.height - (top + bottom) * scale) / 2 };
    this.draw();
  }

  /** What one picture has on the screen. */
  get room() {
    const { clientWidth: width, clientHeight: height } = this.element;
    return this.state.view === "beside" ? (this.stacked ? { width, height: height / 2 } : { width: width / 2, height }) : { width, height };
  }

  /** Whether pictures beside one another are one below the other. */
  get stacked() {
    return this.element.clientHeight > this.element.clientWidth;
  }

  zoomBy(factor, x = this.room.width / 2, y = this.room.height / 2) {
    const scale = Math.min(Math.max(this.zoom.scale * factor, 1e-3), MOST);
    const applied = scale / this.zoom.scale;
    this.zoom = { scale, x: x - (x - this.zoom.x) * applied, y: y - (y - this.zoom.y) * applied };
    this.fitted = false;
    this.draw();
  }

  /** One px of the picture on one of the screen, about the middle. */
  oneToOne() {
    this.zoomBy(1 / devicePixelRatio / this.zoom.scale);
  }

  moveBy(x, y) {
    this.zoom = { ...this.zoom, x: this.zoom.x + x, y: this.zoom.y + y };
    this.fitted = false;
    this.draw();
  }

  /** Px of a picture to px of the frame, both from their corners. */
  matrixOf(side) {
    if (side === this.state.frame || !this.pair.matrix) return IDENTITY;
    return fromCorners(side === "query" ? this.pair.matrix : inverse(this.pair.matrix));
  }

  /** Px of a picture to px of the stage. */
  screenOf(side) {
    const { x, y, scale } = this.zoom;
    const own = [scale, 0, x, 0, scale, y, 0, 0, 1];
    if (this.state.view !== "beside") return product(own, this.matrixOf(side));
    return side === "query" ? own : this.#linked(own);
  }

  /** Where the reference lies beside the query: the same point in the middle, at the same size. */
  #linked(own) {
    const room = this.room;
    const [offsetX, offsetY] = this.stacked ? [0, room.height] : [room.width, 0];
    const matrix = this.pair.matrix ? fromCorners(this.pair.matrix)
      : scaling(this.pair.reference.width / this.pair.query.width, this.pair.reference.height / this.pair.query.height);
    const middle = project(inverse(own), [room.width / 2, room.height / 2]);
    const [x, y] = project(matrix, middle);
    const scale = this.zoom.scale / motion(matrix, middle).scale;
    return [scale, 0, offsetX + room.width / 2 - x * scale, 0, scale, offsetY + room.height / 2 - y * scale, 0, 0, 1];
  }

  draw() {
    if (!this.pair || !this.element.clientWidth) return;
    const { view, top, flipped, opacity, gain, line } = this.state;
    this.element.dataset.view = view;
    this.element.classList.toggle("stacked", this.stacked);
    const bottom = top === "query" ? "reference" : "query";
    for (const side of ["query", "reference"]) {
      const { width, height } = this.pair[side];
      const shrink = Math.min(1, SHARP_PX / Math.max(width, height));
      const style = this.layers[side].style;
      style.width = `${width * shrink}px`;
      style.height = `${height * shrink}px`;
      style.transform = matrix3d(product(this.screenOf(side), scaling(1 / shrink)));
      style.filter = this.pair.negative && side === "query" && view !== "beside" ? "invert(1)" : "";
      const sheet = this.sheets[side].style;
      sheet.zIndex = side === top ? "1" : "0";
      sheet.opacity = view === "blend" && side === top ? String(opacity) : "1";
      sheet.visibility = view === "flip" && side === top && flipped ? "hidden" : "";
      sheet.mixBlendMode = view === "difference" && side === top ? "difference" : "";
      sheet.clipPath = this.#clip(side, view, line, top);
    }
    this.pile.style.filter = view === "difference" ? `brightness(${gain})` : "";
    this.pile.style.clipPath = view === "difference" ? this.#shared() : "";
    this.line.hidden = view !== "curtain";
    this.line.style.left = `${line * 100}%`;
    this.line.setAttribute("aria-valuenow", String(Math.round(line * 100)));
    this.marks.draw(bottom);
  }

  #clip(side, view, line, top) {
    if (view === "curtain" && side === top) return `inset(0 ${100 - line * 100}% 0 0)`;
    if (view !== "beside") return "";
    const first = side === "query";
    if (this.stacked) return first ? "inset(0 0 50% 0)" : "inset(50% 0 0 0)";
    return first ? "inset(0 50% 0 0)" : "inset(0 0 0 50%)";
  }

  /** The part that both pictures show, as a path to clip by. */
  #shared() {
    const { query, reference, matrix } = this.pair;
    if (!matrix) return "";
    const there = corners(query.width, query.height).map((corner) => project(fromCorners(matrix), corner));
    const part = within(there, reference.width, reference.height).map((point) => project(this.screenOf("reference"), point));
    return part.length > 2 && area(part) > 1 ? `polygon(${part.map(([x, y]) => `${x}px ${y}px`).join()})` : "";
  }

  /** The same point of the scene, under both cursors; or the pair of points of the proof that is there. */
  point(x, y) {
    this.marks.point(x, y);
    const beside = this.state.view === "beside" && this.pair?.matrix && !this.marks.points;
    const room = this.room;
    const first = this.stacked ? y < room.height : x < room.width;
    const way = beside && (first
      ? product(product(this.screenOf("reference"), fromCorners(this.pair.matrix)), inverse(this.screenOf("query")))
      : product(product(this.screenOf("query"), inverse(fromCorners(this.pair.matrix))), inverse(this.screenOf("reference"))));
    for (const [at, cursor] of this.cursors.entries()) {
      cursor.hidden = !beside;
      if (!beside) continue;
      const [left, top] = at ? project(way, [x, y]) : [x, y];
      cursor.style.transform = `translate(${left}px, ${top}px)`;
    }
  }

  #lineKey(event) {
    const by = { ArrowLeft: -0.01, ArrowRight: 0.01, Home: -1, End: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    this.set({ line: Math.min(Math.max(this.state.line + by * (event.shiftKey ? 10 : 1), 0), 1) });
  }

  /** The small picture at once, and better ones as they come. */
  async #load(image, side, load) {
    image.removeAttribute("src");
    image.alt = side.name;
    let shown = false;
    for (const source of side.pictures) {
      const better = new Image();
      better.src = source;
      try {
        await better.decode();
      } catch {
        continue;
      }
      if (load !== this.loads) return;
      image.src = better.src;
      shown = true;
    }
    if (shown || load !== this.loads) return;
    this.note.hidden = false;
    this.note.textContent = t("picture.not_at_hand", { name: side.name });
  }
}
