"use strict";
const $ = (id) => document.getElementById(id);
const groups = [...document.querySelectorAll(".group")].map((section) => ({
  section,
  files: Number(section.dataset.files),
  boxes: [...section.querySelectorAll(".file input:enabled")],
  // An original with several names has copies, too: files of the same bytes.
  members: [...section.querySelectorAll("figure")].map((figure, number) => ({
    figure,
    original: number === 0,
    several: figure.dataset.kinds.split(",").includes("identical"),
    kinds: figure.dataset.kinds.split(","),
    probability: Number(figure.dataset.probability),
    bytes: Number(figure.dataset.bytes),
    boxes: [...figure.querySelectorAll(".file input:enabled")], // the others must stay
    first: figure.querySelector(".file input"),
  })),
}));

// What is shown

const isCopy = (member) => !member.original || member.several;

function filter() {
  const kind = $("kind").value;
  const number = (id, otherwise) => $(id).value === "" ? otherwise : Number($(id).value);
  const [lowest, highest] = [number("lowest", 0), number("highest", 1)];
  const [fewest, most] = [number("fewest", 0), number("most", Infinity)];
  let shown = 0;
  for (const group of groups) {
    let any = false;
    for (const member of group.members) {
      const fit = isCopy(member) && (!kind || member.kinds.includes(kind)) &&
        member.probability >= lowest && member.probability <= highest;
      member.figure.classList.toggle("other", !fit && !member.original);
      member.fits = fit;
      any ||= fit;
    }
    const visible = any && group.files >= fewest && group.files <= most;
    group.section.hidden = !visible;
    shown += visible;
  }
  $("shown").textContent = shown === groups.length ? `all ${shown} groups` : `${shown} of ${groups.length} groups`;
}

// What is marked

const count = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;
const checked = () => groups.flatMap((group) => group.boxes.filter((box) => box.checked));
const bytesOf = (box) => Uint8Array.from(atob(box.value), (character) => character.charCodeAt(0));
const stored = "featmatch groups " + document.body.dataset.key;

function tally() {
  let files = 0, bytes = 0;
  for (const group of groups) {
    for (const member of group.members) {
      const marked = member.boxes.filter((box) => box.checked).length;
      files += marked;
      bytes += marked * member.bytes;
    }
  }
  const size = bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB` : bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB`
    : `${(bytes / 1e9).toFixed(2)} GB`;
  $("marked").textContent = files === 0 ? "no file"
    : `${count(files, "file")}, ${size}`;
  for (const id of ["clear", "copy", "save"]) $(id).disabled = files === 0;
  try { // so that closing the page loses nothing, where the browser keeps things for files
    localStorage.setItem(stored, JSON.stringify(checked().map((box) => box.value)));
  } catch { /* it does not, or is full */ }
}

function recall() {
  try {
    const marked = new Set(JSON.parse(localStorage.getItem(stored) ?? "[]"));
    for (const group of groups) for (const box of group.boxes) box.checked = marked.has(box.value);
  } catch { /* nothing was kept */ }
}

function markShown() {
  const identical = $("kind").value === "identical";
  for (const group of groups) {
    if (group.section.hidden) continue;
    for (const member of group.members) {
      if (!member.fits) continue;
      for (const box of member.boxes) box.checked ||= !(identical && box === member.first);
    }
  }
  tally();
}

// As in names.py; the bytes are UTF-8, so there are no surrogates.
const UNFIT = new RegExp("[\\0-\\x1f\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f" +
  "\\ufeff\\ufff9-\\ufffb\\u{e0000}-\\u{e007f}]", "u");

/** A name as one line: as it is, or where that is no line of text, quoted as C does, byte by byte. */
function line(bytes) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    if (!text.startsWith('"') && !UNFIT.test(text)) return text;
  } catch { /* no UTF-8 */ }
  const quoted = [...bytes].map((byte) => byte === 0x22 || byte === 0x5c ? "\\" + String.fromCharCode(byte)
    : byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "\\" + byte.toString(8).padStart(3, "0"));
  return `"${quoted.join("")}"`;
}

async function copy() {
  const text = checked().map((box) => line(bytesOf(box)) + "\n").join("");
  try {
    await navigator.clipboard.writeText(text);
    $("copy").textContent = "Copied";
    setTimeout(() => { $("copy").textContent = "Copy paths"; }, 1500);
  } catch {
    const area = $("list").querySelector("textarea");
    area.value = text;
    $("list").showModal();
    area.select();
  }
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(checked().flatMap((box) => [bytesOf(box), "\0"])));
  link.download = "marked-files";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// One copy and its original

let pair = null;

function open(group, member) {
  const original = group.members[0];
  pair = { group, original, member };
  const unit = member.figure.dataset.unit;
  pair.unit = unit ? unit.split(" ").map(Number) : null;
  for (const [id, one] of [["below", original], ["above", member]]) show($(id), one.figure);
  $("compare").classList.toggle("negative", "negative" in member.figure.dataset);
  for (const view of ["overlay", "difference"]) radio(view).disabled = !pair.unit;
  if (!pair.unit) radio("beside").checked = true;
  const name = (one) => one.figure.querySelector(".file a").textContent;
  const words = (one) => one.figure.querySelector("b").textContent;
  $("told").textContent = `${name(member)}: ${words(member)} (${member.probability.toFixed(4)}) · original: ${name(original)}`;
  $("marking").disabled = member.boxes.length === 0;
  $("marking").checked = member.boxes.length > 0 && member.boxes.every((box) => box.checked);
  if (!$("compare").open) $("compare").showModal();
  layOut();
}

const radio = (view) => $("compare").querySelector(`[value=${view}]`);

/** The thumbnail, and as soon as it is read the file itself, where that is still there and of a kind browsers know. */
function show(image, figure) {
  image.src = figure.querySelector("img").src;
  const file = new Image();
  const wanted = image.wanted = {};
  file.onload = () => {
    const same = file.naturalWidth === Number(figure.dataset.width) && file.naturalHeight === Number(figure.dataset.height);
    if (same && image.wanted === wanted) image.src = file.src;
  };
  const link = figure.querySelector(".file a[href]");
  if (link && location.protocol === "file:") file.src = link.href;
}

/** Where the unit homography takes a point of the unit square. */
function project([a, b, c, d, e, f, g, h, i], x, y) {
  const w = g * x + h * y + i;
  return [(a * x + b * y + c) / w, (d * x + e * y + f) / w];
}

function layOut() {
  if (!pair || !$("compare").open) return;
  const view = $("compare").querySelector("[name=view]:checked").value;
  for (const one of ["overlay", "difference", "beside"]) $("compare").classList.toggle(one, view === one);
  const blinking = view === "overlay" && $("blink").firstElementChild.checked;
  $("compare").classList.toggle("blink", blinking);
  const [stage, below, above] = [$("stage"), $("below"), $("above")];
  for (const element of [stage, below, above]) element.removeAttribute("style");
  if (view === "beside") return;

  const [width, height] = ["width", "height"].map((side) => Number(pair.original.figure.dataset[side]));
  const corners = [[0, 0], [1, 0], [1, 1], [0, 1]].map(([x, y]) => project(pair.unit, x, y));
  // Show what the copy has beyond its original as well, within reason.
  const reach = (axis) => {
    const ends = corners.map((corner) => corner[axis]);
    return view === "difference" ? [0, 1] : [Math.max(Math.min(0, ...ends), -1), Math.min(Math.max(1, ...ends), 2)];
  };
  const [[left, right], [top, bottom]] = [reach(0), reach(1)];
  const scale = Math.min($("room").clientWidth / (right - left) / width, $("room").clientHeight / (bottom - top) / height);
  const size = [width * scale, height * scale];
  stage.style.cssText = `width: ${size[0]}px; height: ${size[1]}px; ` +
    `left: ${($("room").clientWidth - (right + left) * size[0]) / 2}px; ` +
    `top: ${($("room").clientHeight - (bottom + top) * size[1]) / 2}px;`;
  below.style.cssText = `width: ${size[0]}px; height: ${size[1]}px;`;

  // Lay it out at about the size at which it is seen: smaller, it would look coarse once it is bent.
  const own = ["width", "height"].map((side) => Number(pair.member.figure.dataset[side]));
  const shrink = Math.max(...size) / Math.max(...own);
  const from = [own[0] * shrink, own[1] * shrink, 1];
  const to = [size[0], size[1], 1];
  const m = pair.unit.map((value, at) => value * to[Math.floor(at / 3)] / from[at % 3]);
  above.style.cssText = `width: ${from[0]}px; height: ${from[1]}px; transform: matrix3d(` +
    `${[m[0], m[3], 0, m[6], m[1], m[4], 0, m[7], 0, 0, 1, 0, m[2], m[5], 0, m[8]].join()});`;
  if (view === "difference") {
    below.style.clipPath = `polygon(${corners.map(([x, y]) => `${x * 100}% ${y * 100}%`).join()})`;
    stage.style.filter = `brightness(${$("gain").lastElementChild.value})`;
  } else if (!blinking) {
    above.style.opacity = $("opacity").lastElementChild.value / 100;
  }
}

function step(by) {
  const pairs = groups.filter((group) => !group.section.hidden || group === pair.group).flatMap((group) =>
    group.members.filter((member) => member.figure.querySelector("button.look") && (member.fits || member === pair.member))
      .map((member) => [group, member]));
  const at = pairs.findIndex(([, member]) => member === pair.member);
  const next = pairs[at + by];
  if (next) open(...next);
}

// Who listens

$("bar").addEventListener("input", filter);
$("bar").addEventListener("submit", (event) => event.preventDefault());
$("mark").addEventListener("click", markShown);
$("clear").addEventListener("click", () => { for (const box of checked()) box.checked = false; tally(); });
$("copy").addEventListener("click", copy);
$("save").addEventListener("click", save);
document.querySelector("main").addEventListener("change", tally);
document.querySelector("main").addEventListener("click", (event) => {
  const figure = event.target.closest("button.look")?.parentElement;
  for (const group of figure ? groups : [])
    for (const member of group.members) if (member.figure === figure) open(group, member);
});
$("compare").addEventListener("input", layOut);
$("compare").addEventListener("close", () => pair?.member.figure.querySelector("button.look").focus());
$("compare").addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!by || ["range", "radio"].includes(event.target.type)) return;
  event.preventDefault();
  step(by);
});
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("marking").addEventListener("change", () => {
  for (const box of pair.member.boxes) box.checked = $("marking").checked;
  tally();
});
addEventListener("resize", layOut);
recall();
filter();
tally();
