/** Packages that are services, made with one of the embedded stubs, and their commands. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { run } from "../../lib/base/mod.ts";
import { embeddedLauncher, hostPlatform, type StubLanguage } from "../../lib/launcher/mod.ts";
import { parseOperations, type Service, writePackage } from "../../lib/pspf/mod.ts";
import { signerFromSeed } from "../../lib/trust/mod.ts";

export interface Made {
  service?: Service;
  /** A shell script; by default one that stays until SIGTERM. */
  script?: string;
  version?: string;
  entries?: Record<string, string[]>;
  env?: Record<string, string>;
}

export interface Outcome {
  code: number;
  out: string;
  err: string;
}

/** Says `up` with its arguments, and `term` when it is told to end. */
export const STAYS = `#!/bin/sh
trap 'echo term; exit 0' TERM
echo "up $*"
while :; do sleep 0.05; done
`;

/** A folder with its own home; what still runs in it is ended by \`close\`. */
export class Yard {
  readonly folder = mkdtempSync(join(tmpdir(), "sealift-service-"));
  private files: string[] = [];

  constructor(readonly language: StubLanguage) {}

  async pack(made: Made, name = "demo"): Promise<string> {
    const [os, arch] = hostPlatform().split("_") as [string, string];
    const launcher = await embeddedLauncher(this.language, hostPlatform());
    const place = join(this.folder, made.version ?? "1.0.0");
    mkdirSync(place, { recursive: true });
    const path = join(place, `${name}.psp`);
    await writePackage(path, {
      launcher: {
        bytes: launcher.bytes,
        tool: launcher.tool,
        toolVersion: launcher.toolVersion,
      },
      manifest: {
        package: { name, version: made.version ?? "1.0.0" },
        execution: {
          argv: ["{workenv}/run"],
          ...(made.entries && { entries: made.entries }),
          ...(made.env && { env: made.env }),
        },
        ...(made.service && { runtime: { service: made.service } }),
      },
      slots: [
        {
          id: "run",
          source: "run",
          target: "run",
          operations: parseOperations("none"),
          permissions: 0o755,
          content: { kind: "bytes", bytes: new TextEncoder().encode(made.script ?? STAYS) },
        },
      ],
      signer: signerFromSeed("service"),
      profile: "sealed",
      epoch: 315532800,
      platform: { os, arch },
      force: true,
    } as unknown as Parameters<typeof writePackage>[1]);
    chmodSync(path, 0o755);
    if (!this.files.includes(path)) this.files.push(path);
    return path;
  }

  env(more: Record<string, string> = {}): Record<string, string> {
    return {
      PATH: process.env.PATH ?? "/usr/bin:/bin",
      HOME: join(this.folder, "home"),
      SEALIFT_CACHE: join(this.folder, "cache"),
      SEALIFT_DATA: join(this.folder, "data"),
      OUT: this.folder,
      ...more,
    };
  }

  /** A command of CLI mode. */
  async cli(file: string, args: string[], more: Record<string, string> = {}): Promise<Outcome> {
    const env = this.env({ SEALIFT_LAUNCHER_CLI: "1", ...more });
    const { code, stdout, stderr } = await run([file, ...args], { env, cwd: this.folder });
    return {
      code,
      out: new TextDecoder().decode(stdout),
      err: new TextDecoder().decode(stderr),
    };
  }

  /** The document that a command prints with `--json`. */
  async json(file: string, args: string[], more: Record<string, string> = {}): Promise<Status> {
    const { out, err } = await this.cli(file, ["--json", ...args], more);
    try {
      return JSON.parse(out) as Status;
    } catch {
      throw new Error(`${args.join(" ")} printed no document: ${out}${err}`);
    }
  }

  /** Starts in the foreground, as a person or systemd does. */
  foreground(file: string, args: string[] = [], more: Record<string, string> = {}) {
    return Bun.spawn([file, ...args], {
      env: this.env(more),
      cwd: this.folder,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
  }

  place(name: string, instance = "demo"): string {
    return join(this.folder, "data", ".service", instance, name);
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
  }

  read(name: string): string {
    try {
      return readFileSync(join(this.folder, name), "utf8");
    } catch {
      return "";
    }
  }

  async close(): Promise<void> {
    for (const file of this.files) await this.cli(file, ["stop"]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export interface Status {
  schema: string;
  ok: boolean;
  state: "running" | "starting" | "stopped" | "orphaned";
  version: string;
  supervisor: number | null;
  pid: number;
  started: number | boolean | null;
  restarts: number;
  exit: number | null;
  port: number | null;
  accepts: boolean;
  stopped: boolean;
  code: string;
  message: string;
  lines: string[];
  log: string;
}

/** Waits until it is so; machines that do other things beside may need long. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 30_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not within 30 s: ${what}`);
    await Bun.sleep(20);
  }
}

export function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // One that ended and is waited for by nobody is gone for every purpose.
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return process.platform !== "linux";
  }
}

/** A port that nobody uses now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
