/** TypeScript without what is not code, so that a rule about `console` does not stumble over a text about it. */

/** Comments, strings, templates (with what is inserted into them) and regular expressions, longest first. */
const NOT_CODE = [
  /\/\*[\s\S]*?\*\//,
  /\/\/.*/,
  /"(?:[^"\\\n]|\\.)*"/,
  /'(?:[^'\\\n]|\\.)*'/,
  /`(?:[^`\\]|\\[\s\S])*`/,
  /(?<=[=(,:[!&|?{};]\s*)\/(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/,
];

const PATTERN = new RegExp(NOT_CODE.map((part) => part.source).join("|"), "g");

/** `text` with every comment and literal replaced by a space; line feeds stay. */
export function codeOnly(text: string): string {
  return text.replace(PATTERN, (part) => part.replace(/[^\n]/g, " "));
}
