/** The rows of the benchmark: what is measured, against which peer, and the target that it is held to. */

import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { APPLICATION_ROWS } from "./applications.ts";
import { DELTA } from "./delta.ts";
import { compileC, EXEC_STUB, makeBigFile, makeTree, NOOP, RESIDENT } from "./fixtures.ts";
import { type Command, NO_STORE, onCores, pair, removed, shell, single, start } from "./measure.ts";
import { WHEEL_ROWS } from "./wheels.ts";

export interface Row {
  id: string;
  what: string;
  target: string;
  measure(bench: Bench): Figure;
}

export interface Figure {
  ours: string;
  peer: string;
  /** The figure that is compared with the target. */
  result: string;
  met: boolean;
}

/** Where things are; the folders are made once and kept between runs. */
export class Bench {
  readonly sealift: string;
  readonly fast: string;

  constructor(
    readonly root: string,
    readonly work: string,
  ) {
    this.sealift = join(root, "dist", "sealift");
    this.fast = existsSync("/dev/shm") ? "/dev/shm/sealift-bench" : join(work, "fast");
    for (const folder of [work, this.fast]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  path(name: string): string {
    return join(this.work, name);
  }

  program(name: string, source: string): string {
    const path = this.path(name);
    if (!existsSync(path)) compileC(path, source);
    return path;
  }

  /** Packs a manifest written below the work folder; kept while this run lasts. */
  pack(name: string, manifest: string, flags: string[] = []): string {
    const folder = this.path(name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "sealift.toml"), manifest);
    const out = join(folder, `${flags.join("").replaceAll(/[^a-z0-9]/gi, "")}${name}.psp`);
    start({
      argv: [this.sealift, "pack", folder, "--key-seed", "bench", "--force", "-o", out, ...flags],
    });
    return out;
  }

  /** Peak resident memory of a command, in bytes. */
  resident(command: Command): number {
    const out = this.path("resident.txt");
    const argv = [this.program("resident", RESIDENT), ...command.argv];
    start({ ...command, argv, env: { ...command.env, BENCH_RESIDENT: out } });
    return Number(readFileSync(out, "utf8")) * 1024;
  }

  tree(): string {
    makeTree(this.path("tree"));
    return this.path("tree");
  }

  big(gib: number): string {
    makeBigFile(this.path(`big${gib}`), gib * 2 ** 30);
    return this.path(`big${gib}`);
  }
}

const ms = (value: number) => `${value.toFixed(2)} ms`;
const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
const head = (name: string) => `[package]\nname = "${name}"\nversion = "1.0.0"\n`;

function programManifest(bench: Bench, name: string, slots: string): string {
  const program = bench.program("noop", NOOP);
  return `${head(name)}[execution]\nargv = ["{workenv}/bin/noop"]\n[[slots]]\nid = "noop"\nsource = "${program}"\ntarget = "bin/noop"\npermissions = "0755"\n${slots}`;
}

function overhead(command: Command, peer: Command, runs: number, limit: number): Figure {
  const { ours, peer: base, over } = pair(command, peer, runs);
  return {
    ours: ms(ours.ms),
    peer: ms(base.ms),
    result: `${over < 0 ? "−" : "+"}${ms(Math.abs(over))}`,
    met: over <= limit,
  };
}

function ratio(command: Command, peer: Command, runs: number, limit: number): Figure {
  const { ours, peer: base } = pair(command, peer, runs);
  const times = ours.ms / base.ms;
  return {
    ours: ms(ours.ms),
    peer: ms(base.ms),
    result: `${times.toFixed(2)} ×`,
    met: times <= limit,
  };
}

function warm(language: "rust" | "go", limit: number): Row {
  return {
    id: `warm-${language}`,
    what: `warm start of a no-op through the ${language} stub, against a static stub that execs the same file`,
    target: `≤ +${limit.toFixed(1)} ms`,
    measure(bench) {
      const file = bench.pack("warm", programManifest(bench, "warm", ""), ["--launcher", language]);
      const env = { SEALIFT_CACHE: join(bench.fast, `warm-${language}`) };
      const program = join(workenv(file, env), "bin", "noop");
      const stub = bench.program("exec-stub", EXEC_STUB);
      return overhead(
        { argv: [file], env },
        { argv: [stub], env: { BENCH_PROGRAM: program } },
        300,
        limit,
      );
    },
  };
}

/** Starts the package once and asks where its work environment is. */
function workenv(file: string, env: Record<string, string>): string {
  start({ argv: [file, "--version"], env });
  const { stdout } = Bun.spawnSync([file, "workenv", "--json"], {
    env: { ...process.env, ...NO_STORE, ...env, SEALIFT_LAUNCHER_CLI: "1" },
  });
  return (JSON.parse(stdout.toString()) as { path: string }).path;
}

function firstStart(language: "rust" | "go", cores: "0" | "0,1", limit: number): Row {
  const count = cores === "0" ? "one core" : "two cores";
  return {
    id: `first-${language}-${cores === "0" ? 1 : 2}`,
    what: `first start, 4,000 files / 110 MB at zstd-19 on tmpfs, ${language}, ${count}, against \`zstd -dc | tar -x\``,
    target: `≤ ${limit} ×`,
    measure(bench) {
      const slots = `[[slots]]\nid = "tree"\nsource = "${bench.tree()}"\ntarget = "tree"\ncompression = "zstd:19"\n`;
      const name = `first-${language}`;
      const existing = join(bench.path(name), `launcher${language}${name}.psp`);
      const file =
        existsSync(existing) && fresh(existing, bench.sealift)
          ? existing
          : bench.pack(name, programManifest(bench, name, slots), ["--launcher", language]);
      const archive = bench.path("tree.tar.zst");
      if (!existsSync(archive))
        start({ argv: shell(`tar -C ${bench.tree()} -c . | zstd -q -19 -T0 -o ${archive}`) });
      const cache = join(bench.fast, "first");
      const out = join(bench.fast, "untar");
      const peer = shell(`mkdir ${out} && zstd -dc ${archive} | tar -x -C ${out}`, cores);
      const figure = ratio(
        { argv: onCores([file], cores), env: { SEALIFT_CACHE: cache }, before: removed(cache) },
        { argv: peer, before: removed(out) },
        7,
        limit,
      );
      removed(cache)();
      removed(out)();
      return figure;
    },
  };
}

function fresh(file: string, than: string): boolean {
  return statSync(file).mtimeMs > statSync(than).mtimeMs;
}

export const ROWS: Row[] = [
  warm("rust", 1.0),
  warm("go", 2.5),
  {
    id: "warm-http",
    what: "warm `http --version`, against the bare packed interpreter running it",
    target: "≤ +1.5 ms",
    measure(bench) {
      const file = bench.path("http.psp");
      start({
        argv: [
          bench.sealift,
          "pack",
          join(bench.root, "docs/examples/httpie"),
          "--key-seed",
          "bench",
          "--force",
          "-o",
          file,
        ],
      });
      const env = { SEALIFT_CACHE: join(bench.fast, "http") };
      start({ argv: [file, "--version"], env });
      return overhead(
        { argv: [file, "--version"], env },
        { argv: [...bareCommand(file, env), "--version"] },
        100,
        1.5,
      );
    },
  },
  firstStart("rust", "0", 1.1),
  firstStart("rust", "0,1", 0.8),
  firstStart("go", "0", 1.1),
  firstStart("go", "0,1", 0.8),
  {
    id: "verify-2g",
    what: "`sealift verify` of 2 GiB (two slots), against `sha256sum` of the file",
    target: "≥ 0.9 × per core, ≤ 128 MiB",
    measure(bench) {
      const big = bench.big(1);
      const slot = (id: string) =>
        `[[slots]]\nid = "${id}"\nsource = "${big}"\ntarget = "${id}"\ncompression = "none"\n`;
      const file = bench.pack(
        "verify2g",
        programManifest(bench, "verify2g", slot("a") + slot("b")),
      );
      const command = { argv: [bench.sealift, "verify", file] };
      const { ours, peer } = pair(command, { argv: ["sha256sum", file] }, 3);
      const rss = bench.resident(command);
      const speed = peer.ms / ours.ms;
      return {
        ours: `${ms(ours.ms)}, ${mib(rss)}`,
        peer: ms(peer.ms),
        result: `${speed.toFixed(2)} × speed, ${mib(rss)}`,
        met: speed >= 0.9 && rss <= 128 * 2 ** 20,
      };
    },
  },
  ...(["rust", "go"] as const).map((language): Row => ({
    id: `memory-${language}`,
    what: `first start with a 1 GiB slot (zstd-3), ${language}: resident memory`,
    target: "≤ 64 MiB",
    measure(bench) {
      const slot = `[[slots]]\nid = "big"\nsource = "${bench.big(1)}"\ntarget = "big"\ncompression = "zstd:3"\n`;
      const file = bench.pack(
        `memory-${language}`,
        programManifest(bench, `memory-${language}`, slot),
        ["--launcher", language],
      );
      const cache = bench.path("memory-cache");
      const command = { argv: [file], env: { SEALIFT_CACHE: cache }, before: removed(cache) };
      const { ms: time } = start(command);
      const rss = bench.resident(command);
      removed(cache)();
      return {
        ours: `${mib(rss)}, ${ms(time)}`,
        peer: "",
        result: mib(rss),
        met: rss <= 64 * 2 ** 20,
      };
    },
  })),
  {
    id: "pack-tree",
    what: "`sealift pack` of the tree at zstd-3, against `tar c | zstd -3 -T0`",
    target: "≤ 1.3 ×",
    measure(bench) {
      const folder = bench.path("pack-tree");
      bench.pack(
        "pack-tree",
        programManifest(
          bench,
          "packed",
          `[[slots]]\nid = "tree"\nsource = "${bench.tree()}"\ntarget = "tree"\ncompression = "zstd:3"\n`,
        ),
      );
      const out = join(bench.fast, "packed.psp");
      const archive = join(bench.fast, "packed.tar.zst");
      const peer = shell(`tar -C ${bench.tree()} -c . | zstd -q -3 -T0 -f -o ${archive}`);
      return ratio(
        { argv: [bench.sealift, "pack", folder, "--key-seed", "bench", "--force", "-o", out] },
        { argv: peer },
        7,
        1.3,
      );
    },
  },
  ...WHEEL_ROWS,
  DELTA,
  ...APPLICATION_ROWS,
  {
    id: "version",
    what: "`sealift --version`",
    target: "≤ 8 ms",
    measure(bench) {
      const time = single({ argv: [bench.sealift, "--version"] }, 40).ms;
      return { ours: ms(time), peer: "", result: ms(time), met: time <= 8 };
    },
  },
  {
    id: "verify-1m",
    what: "`sealift verify` of a 1 MB package",
    target: "≤ 40 ms",
    measure(bench) {
      const file = bench.pack("verify1m", programManifest(bench, "verify1m", ""));
      const time = single({ argv: [bench.sealift, "verify", file] }, 30).ms;
      return {
        ours: ms(time),
        peer: "",
        result: `${ms(time)} (${(statSync(file).size / 1e6).toFixed(2)} MB)`,
        met: time <= 40,
      };
    },
  },
  {
    id: "size",
    what: "stubs (largest of each) and the host binary",
    target: "Rust ≤ 1.8 MB, Go ≤ 5 MB, binary ≤ 125 MB",
    measure(bench) {
      const { stdout } = Bun.spawnSync([bench.sealift, "launchers", "list", "--json"]);
      const { launchers } = JSON.parse(stdout.toString()) as {
        launchers: { language: string; size: number }[];
      };
      const largest = (language: string) =>
        Math.max(
          0,
          ...launchers.filter((stub) => stub.language === language).map(({ size }) => size),
        ) / 1e6;
      const binary = statSync(bench.sealift).size / 1e6;
      const result = `Rust ${largest("rust").toFixed(2)} MB, Go ${largest("go").toFixed(2)} MB, binary ${binary.toFixed(1)} MB`;
      return {
        ours: result,
        peer: "",
        result,
        met: largest("rust") <= 1.8 && largest("go") <= 5 && binary <= 125,
      };
    },
  },
];

/** The package's own command with its placeholders filled, without the launcher. */
function bareCommand(file: string, env: Record<string, string>): string[] {
  const ask = (...words: string[]) => {
    const { stdout } = Bun.spawnSync([file, ...words], {
      env: { ...process.env, ...NO_STORE, ...env, SEALIFT_LAUNCHER_CLI: "1" },
    });
    return JSON.parse(stdout.toString()) as Record<string, unknown>;
  };
  const { execution } = ask("metadata") as { execution: { argv: string[] } };
  const folder = ask("workenv", "--json").path as string;
  return execution.argv.map((word) =>
    word
      .replaceAll("{workenv}", folder)
      .replaceAll(/\{slot:([^}]+)\}/g, (_, id: string) => ask("slot", id, "--json").path as string),
  );
}
