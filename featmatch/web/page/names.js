// Names of files: any bytes. Those that are no UTF-8 are lone surrogates, U+DC80 to U+DCFF, as Python and our JSON have them.

// As in featmatch/names.py.
const UNFIT = new RegExp("[\\0-\\x1f\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f" +
  "\\ufeff\\ufff9-\\ufffb\\ud800-\\udfff\\u{e0000}-\\u{e007f}]", "u");

/** The bytes of a name, exactly. @param {string} name @returns {Uint8Array<ArrayBuffer>} */
export function nameBytes(name) {
  const encoder = new TextEncoder();
  const bytes = [];
  for (const character of name) {
    const code = character.codePointAt(0);
    if (code >= 0xdc80 && code <= 0xdcff) bytes.push(code - 0xdc00);
    else bytes.push(...encoder.encode(character));
  }
  return Uint8Array.from(bytes);
}

/** A name on one line, as it is or, where that is no line of text, quoted as C does. */
export function shownName(name) {
  if (!name.startsWith('"') && !UNFIT.test(name)) return name;
  const quoted = [...nameBytes(name)].map((byte) => byte === 0x22 || byte === 0x5c ? `\\${String.fromCharCode(byte)}`
    : byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, "0")}`);
  return `"${quoted.join("")}"`;
}

/** Folder and file of a name, as shown. @returns {[string, string]} */
export function nameParts(name) {
  const shown = shownName(name);
  const file = shown.startsWith('"') ? 0 : shown.lastIndexOf("/") + 1;
  return [shown.slice(0, file), shown.slice(file)];
}

/** A word of a shell script: nothing in it is special. @returns {Uint8Array<ArrayBuffer>} */
export function shellWord(name) {
  const path = name.startsWith("-") ? `./${name}` : name;
  return nameBytes(`'${path.replaceAll("'", "'\\''")}'`);
}
