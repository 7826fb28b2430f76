/**
 * User names and passwords of package indexes, and where they come from: the address itself, `UV_INDEX_<NAME>_USERNAME` and
 * `_PASSWORD`, or netrc. A login shows itself to nobody: neither JSON nor a message can hold what it knows.
 */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

type Env = Record<string, string | undefined>;

export class Login {
  readonly #username: string;
  readonly #password: string;

  constructor(username: string, password: string) {
    this.#username = username;
    this.#password = password;
  }

  /** Value of `Authorization` (RFC 7617, UTF-8). */
  header(): string {
    const pair = new TextEncoder().encode(`${this.#username}:${this.#password}`);
    return `Basic ${Buffer.from(pair).toString("base64")}`;
  }

  /** uv's variables for the index of that name. */
  variables(name: string): Record<string, string> {
    const stem = `UV_INDEX_${variableName(name)}`;
    return { [`${stem}_USERNAME`]: this.#username, [`${stem}_PASSWORD`]: this.#password };
  }

  /** The address with the login in it, for programs that know no other way. */
  inside(url: string): string {
    const full = new URL(url);
    full.username = encodeURIComponent(this.#username);
    full.password = encodeURIComponent(this.#password);
    return full.href;
  }

  /** `text` without anything that tells this login. */
  scrub(text: string): string {
    const secrets = [this.#password, this.#password === "" ? this.#username : ""];
    let clean = text.replaceAll(this.header().slice("Basic ".length), "****");
    for (const secret of secrets) {
      for (const form of new Set([secret, encodeURIComponent(secret)]))
        // One or two letters would take half of the text with them.
        if (form.length > 2) clean = clean.replaceAll(form, "****");
    }
    return clean;
  }

  toJSON(): string {
    return "****";
  }
}

/** The login in an address (`https://user:password@host/`), percent-decoded. */
export function loginOf(url: URL): Login | undefined {
  if (url.username === "" && url.password === "") return undefined;
  return new Login(decoded(url.username), decoded(url.password));
}

/** What the environment knows for the index of that name. */
export function loginFromEnv(name: string, env: Env): Login | undefined {
  const stem = `UV_INDEX_${variableName(name)}`;
  const username = env[`${stem}_USERNAME`];
  const password = env[`${stem}_PASSWORD`];
  if (username === undefined && password === undefined) return undefined;
  return new Login(username ?? "", password ?? "");
}

function variableName(name: string): string {
  return name.toUpperCase().replace(/[^A-Z0-9]/g, "_");
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** What netrc (`NETRC`, else `~/.netrc` or `~/_netrc`) says; a file that cannot be read says nothing. */
export function readNetrc(env: Env): Map<string, Login> {
  const home = env.HOME ?? env.USERPROFILE ?? homedir();
  const places = env.NETRC ? [env.NETRC] : [join(home, ".netrc"), join(home, "_netrc")];
  for (const place of places) {
    const text = readText(place);
    if (text !== undefined) return parseNetrc(text);
  }
  return new Map();
}

/** Host → login; `default` stands under the empty name. The first entry of a host counts. Macros are skipped. */
export function parseNetrc(text: string): Map<string, Login> {
  const found = new Map<string, Login>();
  const withoutMacros = text.replace(/^\s*macdef\b[^\n]*\n(?:[^\n]+\n)*/gm, "");
  const words = withoutMacros
    .split("\n")
    .filter((line) => !line.trimStart().startsWith("#"))
    .flatMap((line) => line.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [])
    .map((word) => (word.startsWith('"') ? word.slice(1, -1).replace(/\\(.)/g, "$1") : word));
  let host: string | undefined;
  let [username, password] = ["", ""];
  const close = () => {
    if (host !== undefined && !found.has(host)) found.set(host, new Login(username, password));
    [username, password] = ["", ""];
  };
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    if (word === "machine" || word === "default") {
      close();
      host = word === "default" ? "" : words[++i];
    } else if (word === "login") username = words[++i] ?? "";
    else if (word === "password") password = words[++i] ?? "";
    else if (word === "account") i++;
  }
  close();
  return found;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
