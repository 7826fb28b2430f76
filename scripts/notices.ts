/**
 * The third-party notices of a release: every package whose code is in the binary or in a stub, with its licence text,
 * read from what the package managers installed. A package without a licence file is listed with its licence's name.
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const ROOT = join(import.meta.dir, "..");

export interface Notice {
  name: string;
  version: string;
  licence: string;
  texts: string[];
}

/** All notices as one text, deterministic for the same lock files. */
export function thirdPartyNotices(): string {
  const sections: [string, Notice[]][] = [
    ["The sealift program (npm packages)", npmNotices()],
    ["The sealift program (runtime)", [bunNotice()]],
    ["The Rust launcher (crates)", cargoNotices()],
    ["The Go launcher (modules)", goNotices()],
  ];
  const head =
    "Third-party notices\n\nParts of other projects are in the sealift binary and its launchers.\n";
  return (
    head +
    sections
      .map(([title, notices]) => `\n${"=".repeat(78)}\n${title}\n${notices.map(render).join("")}`)
      .join("")
  );
}

function render(notice: Notice): string {
  const texts = notice.texts.length > 0 ? notice.texts : [`Licence: ${notice.licence}`];
  return `${"-".repeat(78)}\n${notice.name} ${notice.version} (${notice.licence})\n\n${texts.join("\n\n")}\n`;
}

/** Texts of the licence files in a package's folder, by file name. */
function licenceTexts(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /^(licen[cs]e|copying|notice|unlicense)/i.test(name) && !name.endsWith(".go"))
    .sort()
    .map((name) => readFileSync(join(folder, name), "utf8").trim());
}

function npmNotices(): Notice[] {
  const lock = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as {
    packages: Record<
      string,
      { version?: string; license?: string; dev?: boolean; optional?: boolean }
    >;
  };
  return Object.entries(lock.packages)
    .filter(([path, entry]) => path !== "" && !entry.dev && !entry.optional)
    .map(([path, entry]) => ({
      name: path.replace(/^.*node_modules\//, ""),
      version: entry.version ?? "",
      licence: entry.license ?? "unknown",
      texts: licenceTexts(join(ROOT, path)),
    }));
}

function bunNotice(): Notice {
  const manifest = JSON.parse(
    readFileSync(join(ROOT, "node_modules/bun/package.json"), "utf8"),
  ) as { version: string };
  const relink =
    "Bun is licensed under MIT. It links JavaScriptCore and WebCore (LGPL-2.0), TinyCC (LGPL-2.1) and other libraries statically; " +
    "the full list and how to relink it stand in Bun's documentation under project/license. " +
    "sealift ships Bun's own, unchanged executable of this version as its base.";
  return {
    name: "bun",
    version: manifest.version,
    licence: "MIT",
    texts: [relink, ...licenceTexts(join(ROOT, "node_modules/bun"))],
  };
}

function cargoNotices(): Notice[] {
  const command = [
    "cargo",
    "tree",
    "--locked",
    "--edges",
    "normal,no-proc-macro",
    "--prefix",
    "none",
    "--format",
    "{p}",
  ];
  const used = new Set(
    output(command, "launchers/rust")
      .split("\n")
      .map((line) => line.split(" ").slice(0, 2).join(" ")),
  );
  const metadata = JSON.parse(
    output(["cargo", "metadata", "--format-version", "1", "--locked"], "launchers/rust"),
  ) as {
    packages: {
      name: string;
      version: string;
      license: string | null;
      manifest_path: string;
      source: string | null;
    }[];
  };
  return metadata.packages
    .filter(({ name, version, source }) => source !== null && used.has(`${name} v${version}`))
    .map((crate) => ({
      name: crate.name,
      version: crate.version,
      licence: crate.license ?? "unknown",
      texts: licenceTexts(dirname(crate.manifest_path)),
    }));
}

function goNotices(): Notice[] {
  const format = "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}";
  const lines = new Set(
    output(["go", "list", "-deps", "-f", format, "."], "launchers/go").split("\n").filter(Boolean),
  );
  const modules = [...lines].sort().map((line) => {
    const [name = "", version = "", folder = ""] = line.split(" ");
    return { name, version, licence: "see text", texts: licenceTexts(folder) };
  });
  const goroot = output(["go", "env", "GOROOT"], "launchers/go").trim();
  const version = output(["go", "env", "GOVERSION"], "launchers/go").trim();
  return [
    {
      name: "The Go standard library",
      version,
      licence: "BSD-3-Clause",
      texts: licenceTexts(goroot),
    },
    ...modules,
  ];
}

function output(command: string[], folder: string): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { cwd: join(ROOT, folder) });
  if (exitCode !== 0) throw new Error(`\`${command.join(" ")}\` failed: ${stderr.toString()}`);
  return stdout.toString();
}
