/** Foreign text inside a message: quoted, with control characters escaped, and cut when it is long. */

/** `text` as a JSON string of at most `max` characters and an ellipsis. */
export function quoted(text: string, max = 120): string {
  return JSON.stringify(text.length > max ? `${text.slice(0, max)}…` : text);
}
