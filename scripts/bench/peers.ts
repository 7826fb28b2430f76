/**
 * What else makes one file of a Python application: PEX, shiv and PyInstaller, as the index has them, in an environment of their own below
 * the bench folder. Every one is called as its documentation says, with its caches warm.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { type Command, removed, start } from "./measure.ts";

const VERSIONS = ["pex==2.105.2", "shiv==1.0.8", "pyinstaller==6.22.3"];

export interface Application {
  id: string;
  /** Folder below docs/examples. */
  example: string;
  requirements: string[];
  /** Command that the packages bring. */
  script: string;
  /** `module:function` of that command. */
  entry: string;
}

export interface Peer {
  name: "pex" | "shiv" | "pyinstaller";
  carriesPython: boolean;
  file: string;
  build: Command;
  /** A start without anything of an earlier one. */
  first: Command;
}

/** The three, ready to build `of`; made once. */
export function peersOf(of: Application, work: string, fast: string): Peer[] {
  const bin = environment(work);
  const folder = join(work, "peers", of.id);
  mkdirSync(folder, { recursive: true });
  const file = (name: string) => join(folder, `${of.id}.${name}`);
  const cold = (name: string, variable: string): Command => {
    const cache = join(fast, `${name}-root`);
    return { argv: [file(name), "--version"], env: { [variable]: cache }, before: removed(cache) };
  };
  const zipapp = { carriesPython: false };
  const site = installed(of, bin, folder);
  const pins = join(folder, "requirements.txt");
  return [
    {
      ...zipapp,
      name: "pex",
      file: file("pex"),
      build: { argv: [join(bin, "pex"), "-r", pins, "-c", of.script, "-o", file("pex")] },
      first: cold("pex", "PEX_ROOT"),
    },
    {
      ...zipapp,
      name: "shiv",
      file: file("shiv"),
      build: {
        argv: [join(bin, "shiv"), "-q", "-c", of.script, "-o", file("shiv"), "-r", pins],
      },
      first: cold("shiv", "SHIV_ROOT"),
    },
    {
      name: "pyinstaller",
      carriesPython: true,
      file: join(folder, "dist", of.script),
      build: pyinstaller(of, bin, folder, site),
      first: { argv: [join(folder, "dist", of.script), "--version"] },
    },
  ];
}

/**
 * The packages in a folder, from which PyInstaller packs, and their exact versions in `requirements.txt` for the other two: PEX misses
 * some of the packages of a large tree when it has to find them out itself.
 */
function installed(of: Application, bin: string, folder: string): string {
  const site = join(folder, "site");
  const pins = join(folder, "requirements.txt");
  if (existsSync(pins)) return site;
  start({ argv: [join(bin, "pip"), "install", "-q", "--target", site, ...of.requirements] });
  const found = [...new Bun.Glob("*.dist-info/METADATA").scanSync(site)].sort();
  const names = found.map((path) => path.slice(0, path.indexOf(".dist-info")).replace("-", "=="));
  writeFileSync(pins, `${names.join("\n")}\n`);
  return site;
}

/** With all data files of the tree: left to itself PyInstaller takes what it sees imported, and `nbconvert` does not start. */
function pyinstaller(of: Application, bin: string, folder: string, site: string): Command {
  const [module, name] = of.entry.split(":") as [string, string];
  writeFileSync(
    join(folder, "main.py"),
    `import sys\nfrom ${module} import ${name}\nsys.exit(${name}())\n`,
  );
  const packages = [...new Bun.Glob("*/__init__.py").scanSync(site)].sort();
  const words = packages.flatMap((path) => ["--collect-data", path.split("/")[0] as string]);
  for (const data of ["share", "etc"])
    if (existsSync(join(site, data))) words.push("--add-data", `${join(site, data)}:${data}`);
  const argv = [
    join(bin, "pyinstaller"),
    "--onefile",
    "-y",
    "--log-level",
    "ERROR",
    "--paths",
    site,
  ];
  return {
    argv: [...argv, ...words, "--name", of.script, "main.py"],
    cwd: folder,
    // Without it, PyInstaller collects no data files of packages that are not installed beside it.
    env: { PYTHONPATH: site },
    before: () => {
      for (const made of ["build", "dist"]) removed(join(folder, made))();
    },
  };
}

/** Folder of the programs; installed when it is not there. */
function environment(work: string): string {
  const place = join(work, "peers", VERSIONS.join("-").replaceAll("==", ""));
  const bin = join(place, "bin");
  if (!existsSync(join(bin, "pyinstaller"))) {
    start({ argv: ["python3", "-m", "venv", place] });
    start({ argv: [join(bin, "pip"), "install", "-q", ...VERSIONS] });
  }
  return bin;
}
