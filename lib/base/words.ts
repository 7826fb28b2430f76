/** Text to words by the quoting rules of a POSIX shell, as the launchers split `command`, and back. Nothing is expanded. */
import { FormatError } from "./errors.ts";
import { quoted } from "./text.ts";

/** @throws FormatError `COMMAND_WORDS` for an open quote or a backslash at the end */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (let i = 0; i < text.length; i++) {
    const char = text[i] as string;
    if (/[ \t\n\r]/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (char === "'") {
      const end = text.indexOf("'", i + 1);
      if (end < 0) throw refusal(text, "a single quote is not closed");
      word = (word ?? "") + text.slice(i + 1, end);
      i = end;
    } else if (char === '"') {
      const quoted = doubleQuoted(text, i + 1);
      word = (word ?? "") + quoted.text;
      i = quoted.end;
    } else if (char === "\\") {
      if (i + 1 >= text.length) throw refusal(text, "it ends with a backslash");
      // A backslash before a line feed joins the lines.
      if (text[++i] !== "\n") word = (word ?? "") + text[i];
    } else {
      word = (word ?? "") + char;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

function doubleQuoted(text: string, start: number): { text: string; end: number } {
  let value = "";
  for (let i = start; i < text.length; i++) {
    const char = text[i] as string;
    if (char === '"') return { text: value, end: i };
    if (char === "\\" && '$`"\\\n'.includes(text[i + 1] ?? " ")) {
      i++;
      if (text[i] !== "\n") value += text[i];
    } else {
      value += char;
    }
  }
  throw refusal(text, "a double quote is not closed");
}

function refusal(text: string, problem: string): FormatError {
  return new FormatError(
    "COMMAND_WORDS",
    `The command ${quoted(text)} cannot be split: ${problem}`,
    {
      hint: "Quotes and backslashes follow POSIX shell rules; an array needs none.",
    },
  );
}

/** Words as POSIX shell text that splits into the same words. */
export function quoteWords(words: readonly string[]): string {
  return words.map(quoteWord).join(" ");
}

function quoteWord(word: string): string {
  if (/^[A-Za-z0-9_@%+=:,./{}-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
