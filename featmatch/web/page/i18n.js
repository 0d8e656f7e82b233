// What is said, in the reader's language. All text is in the JSON files; code has keys only.

export const LANGUAGES = { en: "English", ja: "日本語" };

let messages = {};
let plurals = new Intl.PluralRules("en");

/** The language in force. */
export let speech = { lang: "en" };

/** Which language a reader wants. */
export function wanted(stored) {
  const asked = new URLSearchParams(location.search).get("lang");
  return [asked, stored, ...navigator.languages.map((lang) => lang.slice(0, 2))].find((lang) => lang in LANGUAGES) ?? "en";
}

/** Speaks a language from now on. @param {Object<string, string>} texts */
export function speak(lang, texts) {
  messages = texts;
  speech.lang = lang;
  plurals = new Intl.PluralRules(lang);
  document.documentElement.lang = lang;
}

/** Whether there are words for a key. */
export const has = (key) => key in messages;

/**
 * The words for a key. `{name}` is replaced; numbers are written as the language does; `{n}` chooses the plural.
 * @param {string} key
 * @param {Object<string, any>} [places]
 * @returns {string}
 */
export function t(key, places = {}) {
  const text = typeof places.n === "number" ? messages[`${key}.${plurals.select(places.n)}`] ?? messages[key] ?? messages[`${key}.other`]
    : messages[key];
  if (text === undefined) return key;
  return text.replace(/\{(\w+)\}/g, (_, name) => typeof places[name] === "number" ? number(places[name]) : places[name] ?? "");
}

/** @param {Intl.NumberFormatOptions} [options] */
export const number = (value, options = { maximumFractionDigits: 2 }) => new Intl.NumberFormat(speech.lang, options).format(value);

/** A share; never 100 % of what is not all. */
export function percent(share, digits = 0) {
  const options = /** @type {const} */ ({ style: "percent", maximumFractionDigits: digits });
  const most = 1 - 10 ** (-2 - digits);
  if (share > most && share < 1) return `> ${number(most, options)}`;
  return number(share, options);
}

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];

export function bytes(count) {
  let power = 0;
  for (; count >= 1000 && power < UNITS.length - 1; power++) count /= 1000;
  return number(count, {
    style: "unit", unit: UNITS[power], unitDisplay: power ? "short" : "long", maximumFractionDigits: count < 10 && power ? 1 : 0,
  });
}

/** A camera's own clock has no zone: it is told as it stands. */
export function date(iso, time = true) {
  const moment = new Date(/[zZ]|[+-]\d\d:\d\d$/.test(iso) ? iso : `${iso}${iso.includes("T") ? "" : "T00:00"}`);
  if (Number.isNaN(moment.getTime())) return iso;
  return new Intl.DateTimeFormat(speech.lang, { dateStyle: "medium", ...(time && { timeStyle: "short" }) }).format(moment);
}

export function duration(seconds) {
  const [value, unit] = seconds < 90 ? [seconds, "second"] : seconds < 5400 ? [seconds / 60, "minute"] : [seconds / 3600, "hour"];
  return number(Math.round(value), { style: "unit", unit, unitDisplay: "long" });
}

/** Parts of one sentence. */
export const listed = (parts) => parts.filter(Boolean).join(t("list.comma"));
