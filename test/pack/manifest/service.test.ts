/** `[service]`, and `persistent` in a Python project: what goes into the signed JSON, and what is refused. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";

import { loadProject } from "../../../lib/pack/mod.ts";
import { verifyPackage } from "../../../lib/pspf/mod.ts";
import { folder, HEAD, only, pack, problem, SCRIPT } from "../fixture.ts";

const PROGRAM = `[package]\nname = "demo"\nversion = "1"\n[execution]\nargv = ["/bin/sh"]\n`;
const PYTHON = `[project]\nname = "demo"\nversion = "1"\n[project.scripts]\ndemo = "demo:main"\n`;

async function load(name: string, text: string) {
  using project = folder();
  const root = project.put({ [name]: text });
  return await loadProject(join(root, name));
}

const program = (text: string) => load("sealift.toml", PROGRAM + text);
const python = (text: string) => load("pyproject.toml", PYTHON + text);

describe("the table service", () => {
  test("is taken as it is, beside the rules for variables", async () => {
    const text = `[execution.runtime.env]\nunset = ["A"]\n[service]\nport = 80\nrestart = "always"\nstop_timeout = 5\nstart_timeout = 6\nrestart_delay = 0\nrestart_limit = 7\nentries = ["work"]\n`;
    expect((await program(text)).runtime).toEqual({
      env: { unset: ["A"] },
      service: {
        port: 80,
        restart: "always",
        stop_timeout: 5,
        start_timeout: 6,
        restart_delay: 0,
        restart_limit: 7,
        entries: ["work"],
      },
    });
    expect((await program("[service]\n")).runtime).toEqual({ service: {} });
    expect((await program("")).runtime).toBeUndefined();
  });

  test.each([
    ["port = 0", "service.port"],
    ["port = 65536", "service.port"],
    ["port = 1.5", "service.port"],
    ['port = "80"', "service.port"],
    ['restart = "sometimes"', "service.restart"],
    ["stop_timeout = 0", "service.stop_timeout"],
    ["restart_delay = -1", "service.restart_delay"],
    ["restart_limit = 0", "service.restart_limit"],
    ["prot = 80", "Did you mean `port`"],
  ])("with %s is refused", async (line, words) => {
    expect(await problem(() => program(`[service]\n${line}\n`))).toContain(words);
  });
});

test("entries of a service are entries of the package, and it verifies", async () => {
  using project = folder();
  const entries = `[execution.entries]\nwork = ["/bin/sh"]\n`;
  const manifest = (name: string) => `${HEAD}${entries}[service]\nentries = ["${name}"]\n${SCRIPT}`;
  expect(await problem(() => pack(project, manifest("wrk")))).toBe(
    "SERVICE_ENTRY: service.entries: there is no entry wrk | Did you mean work?",
  );
  const path = only(await pack(project, manifest("work")));
  expect((await verifyPackage(path)).ok).toBe(true);
  const compat = { compat: "flavorpack", force: true } as const;
  expect(await problem(() => pack(project, `${HEAD}[service]\n${SCRIPT}`, compat))).toContain(
    "COMPAT_SERVICE",
  );
});

describe("persistent", () => {
  test("is the short form of the table", async () => {
    const text = `[tool.sealift.runtime]\npersistent = true\nport = 8000\nrestart = "no"\nstop_timeout = 3\n`;
    const service = { port: 8000, restart: "no", stop_timeout: 3 };
    expect((await python(text)).runtime?.service).toEqual(service as never);
    expect((await python(text.replace("sealift", "flavor"))).runtime?.service).toEqual(
      service as never,
    );
    expect((await python("[tool.sealift.runtime]\npersistent = true\n")).runtime).toEqual({
      service: {},
    });
    expect((await python("[tool.sealift.runtime]\npersistent = false\n")).runtime).toBeUndefined();
    expect((await python("[tool.sealift.service]\nport = 9\n")).runtime?.service?.port).toBe(9);
  });

  test.each([
    ["port = 8000", "runtime.port has a meaning only with persistent = true"],
    ['persistent = false\nrestart = "no"', "runtime.restart has a meaning only with persistent"],
    ["stop_timeout = 5", "runtime.stop_timeout has a meaning only with persistent"],
    ["persistent = true\nport = 0", "runtime.port must be a whole number from 1 to 65535"],
    ['persistent = "yes"', "runtime.persistent must be"],
    ["persistent = true\n[tool.sealift.service]", "says what the table service says already"],
  ])("with %s is refused", async (lines, words) => {
    expect(await problem(() => python(`[tool.sealift.runtime]\n${lines}\n`))).toContain(words);
  });
});
