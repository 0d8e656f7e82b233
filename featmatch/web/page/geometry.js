// Homographies: nine numbers, row by row. Pixels have their centre at whole numbers, as everywhere in featmatch.

/** @typedef {number[]} Matrix */
/** @typedef {[number, number]} Point */

export const IDENTITY = [1, 0, 0, 0, 1, 0, 0, 0, 1];

/** @param {Matrix} a @param {Matrix} b @returns {Matrix} */
export function product(a, b) {
  const rows = [0, 3, 6], columns = [0, 1, 2];
  return rows.flatMap((row) => columns.map((column) => a[row] * b[column] + a[row + 1] * b[column + 3] + a[row + 2] * b[column + 6]));
}

/** @param {Matrix} m @returns {Matrix} */
export function inverse([a, b, c, d, e, f, g, h, i]) {
  const determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  return [e * i - f * h, c * h - b * i, b * f - c * e, f * g - d * i, a * i - c * g, c * d - a * f, d * h - e * g, b * g - a * h, a * e - b * d]
    .map((value) => value / determinant);
}

/** @param {Matrix} m @returns {Point} */
export function project([a, b, c, d, e, f, g, h, i], [x, y]) {
  const w = g * x + h * y + i;
  return [(a * x + b * y + c) / w, (d * x + e * y + f) / w];
}

export const scaling = (x, y = x) => [x, 0, 0, 0, y, 0, 0, 0, 1];
export const shift = (x, y) => [1, 0, x, 0, 1, y, 0, 0, 1];

/** The same homography where the corner of the first pixel is the origin, as in a browser. */
export const fromCorners = (m) => product(product(shift(0.5, 0.5), m), shift(-0.5, -0.5));

/** Of the nested lists of JSON; null stays. */
export const flat = (rows) => rows ? rows.flat() : null;

export const corners = (width, height) => /** @type {Point[]} */ ([[0, 0], [width, 0], [width, height], [0, height]]);

/** @param {Point[]} polygon */
export function area(polygon) {
  let twice = 0;
  polygon.forEach(([x, y], at) => {
    const [nextX, nextY] = polygon[(at + 1) % polygon.length];
    twice += x * nextY - nextX * y;
  });
  return Math.abs(twice) / 2;
}

/** The part of a convex polygon within a frame. @param {Point[]} polygon @returns {Point[]} */
export function within(polygon, width, height) {
  /** @type {((point: Point) => number)[]} */
  const inside = [([x]) => x, ([x]) => width - x, ([, y]) => y, ([, y]) => height - y];
  for (const distance of inside) {
    polygon = polygon.flatMap((point, at) => {
      const next = polygon[(at + 1) % polygon.length];
      const [here, there] = [distance(point), distance(next)];
      const kept = here >= 0 ? [point] : [];
      if ((here >= 0) === (there >= 0)) return kept;
      const share = here / (here - there);
      return [...kept, /** @type {Point} */ ([point[0] + share * (next[0] - point[0]), point[1] + share * (next[1] - point[1])])];
    });
  }
  return polygon;
}

/** How a matrix turns, scales and mirrors at a point: degrees counter-clockwise as seen; px per px. */
export function motion(m, point) {
  const [x, y] = project(m, point);
  const step = 1e-3;
  const [right, down] = [project(m, [point[0] + step, point[1]]), project(m, [point[0], point[1] + step])];
  const [a, c, b, d] = [right[0] - x, right[1] - y, down[0] - x, down[1] - y].map((value) => value / step);
  const determinant = a * d - b * c;
  const mirrored = determinant < 0;
  return { scale: Math.sqrt(Math.abs(determinant)), mirrored, degrees: (-Math.atan2(c, mirrored ? -a : a) * 180) / Math.PI };
}

/** As CSS has it: column by column. @param {Matrix} m */
export function matrix3d([a, b, c, d, e, f, g, h, i]) {
  return `matrix3d(${[a, d, 0, g, b, e, 0, h, 0, 0, 1, 0, c, f, 0, i].join()})`;
}
