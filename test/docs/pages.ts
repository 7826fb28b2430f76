/**
 * What a documentation page tells its reader to do, as a script: blocks marked `sh` are run, a block after
 * `<!-- file: NAME -->` is written to that file first. Blocks marked `text`, `console` or `toml` alone are only shown.
 */

export interface Page {
  /** Shell text that does what the page says, in order. */
  script: string;
  /** How many command lines it has. */
  commands: number;
}

const FENCE = /^(?:<!-- file: (?<file>[^\s]+) -->\n+)?```(?<kind>\w+)\n(?<body>[\s\S]*?)^```$/gm;

export function readPage(markdown: string): Page {
  const parts: string[] = [];
  let commands = 0;
  for (const { groups } of markdown.matchAll(FENCE)) {
    const { file, kind, body = "" } = groups as { file?: string; kind: string; body?: string };
    if (file !== undefined) parts.push(writeFile(file, body));
    else if (kind === "sh") {
      parts.push(body);
      commands += body
        .split("\n")
        .filter((line) => line.trim() !== "" && !line.trim().startsWith("#")).length;
    }
  }
  return { script: parts.join("\n"), commands };
}

function writeFile(name: string, body: string): string {
  const folder = name.includes("/") ? name.slice(0, name.lastIndexOf("/")) : ".";
  const mode = body.startsWith("#!") ? `\nchmod 755 '${name}'` : "";
  return `mkdir -p '${folder}'\ncat >'${name}' <<'END_OF_PAGE_FILE'\n${body}END_OF_PAGE_FILE${mode}`;
}
