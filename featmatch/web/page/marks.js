// What is drawn over a stage: where two pictures differ, and the pairs of points that agree.

import { h, svg } from "./dom.js";
import { motion, project } from "./geometry.js";

const MOST = 80; // lines at a time; more would hide the pictures
const NEAR_PX = 12;
const PATCH_PX = 132; // as in compare.css
const SHARE = 12; // of the longer side of the query that a patch has

/** @typedef {[number, number, number, number]} Joined x and y in the query, x and y in the reference */

export class Marks {
  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.stage = stage;
    /** Pairs of points to be joined by lines; null: none are wanted. @type {Joined[] | null} */
    this.points = null;
    /** @type {{pair: Joined, ends: [number, number][], element: SVGElement}[]} */
    this.lines = [];
    this.element = svg("svg", { class: "marks", "aria-hidden": "true" });
    this.patches = h("div", { class: "patches", "aria-hidden": "true", hidden: true }, ["query", "reference"].map(() => h("canvas", { width: PATCH_PX, height: PATCH_PX })));
  }

  /** @param {string} bottom the picture that lies below */
  draw(bottom) {
    const { state, pair } = this.stage;
    this.element.replaceChildren();
    this.lines = [];
    this.patches.hidden = true;
    if (this.points) this.#join();
    else if (state.outlines && pair.differences) this.#outline(state.view === "beside" ? ["query", "reference"] : [bottom]);
  }

  #outline(sides) {
    for (const side of sides) {
      const screen = this.stage.screenOf(side);
      const { stacked, room: { width, height } } = this.stage;
      const [x, y] = sides.length > 1 && side === "reference" ? (stacked ? [0, height] : [width, 0]) : [0, 0];
      const half = svg("svg", { x, y, width, height, viewBox: `${x} ${y} ${width} ${height}` }); // what is beyond it is cut off
      this.element.append(half);
      for (const difference of this.stage.pair.differences) {
        const points = difference[side].map(([x, y]) => project(screen, [x + 0.5, y + 0.5]).join()).join(" ");
        half.append(svg("polygon", { points, class: "under" }), svg("polygon", { points, class: "over" }));
      }
    }
  }

  /** Lines between points that are both to be seen. */
  #join() {
    const { stacked, room } = this.stage;
    const [query, reference] = ["query", "reference"].map((side) => this.stage.screenOf(side));
    const inRoom = ([x, y], place) => [x - (stacked ? 0 : place * room.width), y - (stacked ? place * room.height : 0)]
      .every((value, axis) => value >= 0 && value <= (axis ? room.height : room.width));
    const seen = this.points.map((pair) => ({ pair, ends: [project(query, [pair[0] + 0.5, pair[1] + 0.5]), project(reference, [pair[2] + 0.5, pair[3] + 0.5])] }))
      .filter(({ ends }) => ends.every(inRoom));
    const step = Math.ceil(seen.length / MOST);
    this.lines = seen.filter((_, at) => at % step === 0).map(({ pair, ends }) => {
      const [[x1, y1], [x2, y2]] = ends;
      return { pair, ends, element: svg("g", {}, svg("line", { x1, y1, x2, y2, class: "under" }), svg("line", { x1, y1, x2, y2, class: "over" }), ends.map(([cx, cy]) => svg("circle", { cx, cy, r: 4 }))) };
    });
    this.element.append(...this.lines.map(({ element }) => element));
  }

  /** Shows both ends of the line that is nearest, large. */
  point(x, y) {
    if (!this.points) return;
    let [near, least] = [null, NEAR_PX];
    for (const line of this.lines) {
      const distance = away([x, y], line.ends);
      line.element.removeAttribute("class");
      if (distance < least) [near, least] = [line, distance];
    }
    this.patches.hidden = !near;
    if (!near) return;
    near.element.setAttribute("class", "near");
    this.element.append(near.element); // above the others
    this.#magnify(near.pair);
    const { clientWidth: width, clientHeight: height } = this.stage.element;
    this.patches.style.left = `${Math.min(Math.max(x - PATCH_PX, 8), width - 2 * PATCH_PX - 24)}px`;
    this.patches.style.top = `${y > height / 2 ? y - PATCH_PX - 32 : y + 24}px`;
  }

  #magnify([x, y, otherX, otherY]) {
    const { pair, layers } = this.stage;
    const px = Math.max(pair.query.width, pair.query.height) / SHARE;
    const scale = pair.matrix ? motion(pair.matrix, [x, y]).scale : 1;
    const ends = { query: [x, y, px], reference: [otherX, otherY, px * scale] };
    for (const [at, side] of ["query", "reference"].entries()) {
      const [left, top, across] = ends[side];
      const layer = layers[side], shrink = layer.naturalWidth / pair[side].width;
      const pen = this.patches.children[at].getContext("2d");
      pen.clearRect(0, 0, PATCH_PX, PATCH_PX);
      if (shrink) pen.drawImage(layer, (left + 0.5 - across / 2) * shrink, (top + 0.5 - across / 2) * shrink, across * shrink, across * shrink, 0, 0, PATCH_PX, PATCH_PX);
    }
  }
}

/** How far a point is from a line between two others. @param {number[]} point @param {number[][]} ends */
function away([x, y], [[x1, y1], [x2, y2]]) {
  const [across, down] = [x2 - x1, y2 - y1];
  const share = Math.min(Math.max(((x - x1) * across + (y - y1) * down) / (across ** 2 + down ** 2 || 1), 0), 1);
  return Math.hypot(x - x1 - share * across, y - y1 - share * down);
}
