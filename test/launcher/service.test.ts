/** Services: what the supervisor and its commands do with real processes, with both stubs (launcher.md, "Services"). */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { type StubLanguage } from "../../lib/launcher/mod.ts";
import { lives, STAYS, until, Yard } from "./service.ts";

setDefaultTimeout(120_000);

describe.each(["rust", "go"] as StubLanguage[])("the %s launcher", (language) => {
  let yard: Yard;
  beforeEach(() => {
    yard = new Yard(language);
  });
  afterEach(() => yard.close());

  describe("in the background", () => {
    test("starts, tells, stops, and each of them twice", async () => {
      const file = await yard.pack({ service: {} });
      expect((await yard.cli(file, ["status"])).code).toBe(3);
      const first = await yard.cli(file, ["start", "a b", "--json"]);
      expect({ code: first.code, err: first.err }).toEqual({ code: 0, err: "" });
      expect(first.out).toMatch(/^demo 1\.0\.0 runs: process \d+\n$/);
      const again = await yard.cli(file, ["start"]);
      expect(again.code).toBe(0);
      expect(again.out).toBe(first.out.replace("runs:", "runs already:"));
      const status = await yard.json(file, ["status"]);
      expect(status).toMatchObject({
        schema: "sealift.launcher.status/1",
        ok: true,
        state: "running",
        version: "1.0.0",
        restarts: 0,
        exit: null,
        port: null,
        accepts: false,
        log: yard.place("log"),
      });
      expect(first.out).toContain(String(status.pid));
      expect((await yard.json(file, ["logs"])).lines).toEqual(["up a b --json"]);
      const stopped = await yard.cli(file, ["stop"]);
      expect(stopped).toEqual({ code: 0, out: "demo is stopped\n", err: "" });
      expect(lives(status.pid)).toBe(false);
      expect(await yard.cli(file, ["stop"])).toEqual({
        code: 0,
        out: "demo does not run\n",
        err: "",
      });
      expect(await yard.json(file, ["status"])).toMatchObject({
        ok: false,
        state: "stopped",
        supervisor: null,
        pid: null,
        exit: 0,
      });
      expect((await yard.cli(file, ["logs"])).out.endsWith("term\n")).toBe(true);
    });

    test("--json before or behind the command is the command's, after -- the program's", async () => {
      const file = await yard.pack({ service: {} });
      expect(
        JSON.parse((await yard.cli(file, ["start", "--json", "--", "--json"])).out),
      ).toMatchObject({
        schema: "sealift.launcher.start/1",
        ok: true,
        started: true,
      });
      expect(JSON.parse((await yard.cli(file, ["--json", "restart", "x"])).out)).toMatchObject({
        schema: "sealift.launcher.restart/1",
        started: true,
      });
      expect((await yard.json(file, ["logs"])).lines).toContain("up --json");
      expect(await yard.json(file, ["stop"])).toMatchObject({ ok: true, stopped: true });
    });

    test("twenty starts together make one service", async () => {
      const file = await yard.pack({ service: {} });
      const all = await Promise.all(Array.from({ length: 20 }, () => yard.json(file, ["start"])));
      expect(all.map(({ ok }) => ok)).toEqual(Array(20).fill(true));
      expect(all.filter(({ started }) => started)).toHaveLength(1);
      expect(new Set(all.map(({ pid }) => pid)).size).toBe(1);
      expect((await yard.json(file, ["logs"])).lines).toEqual(["up "]);
    });

    test("a program that dies at once is an error with its last words", async () => {
      const script = "#!/bin/sh\nfor i in $(seq 30); do echo line $i; done\nexit 7\n";
      const file = await yard.pack({ service: {}, script });
      const { code, err, out } = await yard.cli(file, ["start"]);
      expect({ code, out }).toEqual({ code: 104, out: "" });
      expect(err).toContain("demo did not stay up: it ended with exit code 7");
      expect(err).toContain("line 30\n");
      expect(err).not.toContain("line 5\n");
      expect(err).toContain(yard.place("log"));
      expect(await yard.json(file, ["status"])).toMatchObject({ state: "stopped", exit: 7 });
    });

    test("so is one that cannot be started", async () => {
      const file = await yard.pack({ service: {}, script: "#!/nowhere/sh\n" });
      const { code, err } = await yard.cli(file, ["start"]);
      expect(code).toBe(104);
      expect(err).toContain("/run cannot be started");
    });

    test("stop is patient, then firm, with everything that the program started", async () => {
      const script = `#!/bin/sh\ntrap '' TERM\nsh -c 'trap "" TERM; echo $$ > $OUT/child; while :; do sleep 0.05; done' &\nwhile :; do sleep 0.05; done\n`;
      const file = await yard.pack({ service: { stop_timeout: 1 }, script });
      const { pid } = await yard.json(file, ["start"]);
      await until("the child", () => yard.read("child") !== "");
      expect((await yard.cli(file, ["stop"])).code).toBe(0);
      expect(lives(pid)).toBe(false);
      await until("the child's end", () => !lives(Number(yard.read("child"))));
      expect(await yard.json(file, ["status"])).toMatchObject({ state: "stopped", exit: 137 });
    });

    test("a program that crashes is started again", async () => {
      const file = await yard.pack({ service: { restart_delay: 0 } });
      const { pid } = await yard.json(file, ["start"]);
      process.kill(pid, "SIGKILL");
      await until("a restart", async () => {
        const status = await yard.json(file, ["status"]);
        return status.restarts === 1 && status.state === "running" && status.pid !== pid;
      });
      expect(await yard.json(file, ["status"])).toMatchObject({ exit: 137 });
    });

    test("one that fails again and again is given up", async () => {
      // Up for the start, then failing.
      const script = `#!/bin/sh\necho run >> $OUT/runs\nwhile ! test -e $OUT/go; do sleep 0.05; done\nexit 9\n`;
      const file = await yard.pack({ service: { restart_delay: 0, restart_limit: 3 }, script });
      expect((await yard.cli(file, ["start"])).code).toBe(0);
      yard.write("go", "");
      await until("the end", async () => (await yard.json(file, ["status"])).state === "stopped");
      expect(yard.read("runs")).toBe("run\n".repeat(4));
      const { lines } = await yard.json(file, ["logs"]);
      expect(lines.filter((line) => line.includes("it starts again in 0 s"))).toHaveLength(3);
      expect(lines.at(-1)).toContain("demo ended 4 times in a row, with exit code 9 at last");
    });

    test("the log is bounded, with one older file", async () => {
      const script = `#!/bin/sh\nhead -c 11000000 /dev/zero | tr '\\0' x\necho\necho done\n${STAYS.slice(10)}`;
      const file = await yard.pack({ service: {}, script });
      expect((await yard.cli(file, ["start"])).code).toBe(0);
      await until("all lines", async () =>
        (await yard.json(file, ["logs"])).lines.at(-1)!.startsWith("up"),
      );
      expect(existsSync(yard.place("log.1"))).toBe(true);
      const sizes = ["log", "log.1"].map((name) => statSync(yard.place(name)).size);
      expect(sizes.every((size) => size <= 10 << 20)).toBe(true);
      expect(sizes[0]! + sizes[1]!).toBeGreaterThan(11_000_000);
      // The supervisor's own words go to the new log.
      await yard.cli(file, ["stop"]);
      expect((await yard.json(file, ["logs"])).lines.at(-1)).toBe("term");
    });

    test("state is private", async () => {
      const file = await yard.pack({ service: {} });
      await yard.cli(file, ["start"]);
      for (const name of ["lock", "state", "log", "program"])
        expect(statSync(yard.place(name)).mode & 0o777).toBe(0o600);
      expect(statSync(yard.place("")).mode & 0o777).toBe(0o700);
    });

    test("the service is no child of the terminal's session and holds none of its descriptors", async () => {
      const file = await yard.pack({ service: {} });
      // The pipe closes although the service runs.
      const shell = Bun.spawn(["sh", "-c", `"${file}" start 3>&1 | cat; kill -HUP -$$`], {
        env: yard.env({ SEALIFT_LAUNCHER_CLI: "1" }),
        stdin: "ignore",
        stdout: "pipe",
        stderr: "ignore",
        detached: true,
      });
      expect(await new Response(shell.stdout).text()).toContain("demo 1.0.0 runs");
      await shell.exited;
      expect(await yard.json(file, ["status"])).toMatchObject({ state: "running" });
    });
  });

  describe("after a crash", () => {
    const stubborn = "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.05; done\n";

    test("the program ends with a supervisor that is killed", async () => {
      const file = await yard.pack({ service: {} });
      const { pid, supervisor } = await yard.json(file, ["start"]);
      process.kill(supervisor!, "SIGKILL");
      if (process.platform === "linux") await until("its end", () => !lives(pid));
      await until("the lock", async () => (await yard.json(file, ["status"])).state === "stopped");
      expect((await yard.cli(file, ["start"])).code).toBe(0);
    });

    test("one that does not is seen, and ended by stop", async () => {
      const file = await yard.pack({ service: { stop_timeout: 1 }, script: stubborn });
      const { pid, supervisor } = await yard.json(file, ["start"]);
      process.kill(supervisor!, "SIGKILL");
      await until(
        "the orphan",
        async () => (await yard.json(file, ["status"])).state === "orphaned",
      );
      expect(await yard.json(file, ["status"])).toMatchObject({ ok: false, pid, supervisor: null });
      const { code, err } = await yard.cli(file, ["stop"]);
      expect(code).toBe(0);
      expect(err).toContain(`its program ${pid} still runs; ending it`);
      expect(lives(pid)).toBe(false);
    });

    test("the next start ends it before it starts", async () => {
      const file = await yard.pack({ service: { stop_timeout: 1 }, script: stubborn });
      const before = await yard.json(file, ["start"]);
      process.kill(before.supervisor!, "SIGKILL");
      const after = await yard.json(file, ["start"]);
      expect(after).toMatchObject({ ok: true, started: true });
      expect(lives(before.pid)).toBe(false);
      expect(lives(after.pid)).toBe(true);
    });

    test("a process that left the service's session is left alone and stops nothing", async () => {
      const leave = `setsid sh -c 'echo $$ >> "$OUT/daemon"; exec sleep 60' &\necho "up`;
      const file = await yard.pack({ service: {}, script: STAYS.replace('echo "up', () => leave) });
      const daemons = () => yard.read("daemon").split("\n").filter(Boolean);
      const { supervisor, pid } = await yard.json(file, ["start"]);
      await until("the process has left", () => daemons().length === 1);
      await yard.cli(file, ["stop"]);
      expect((await yard.json(file, ["status"])).state).toBe("stopped");
      expect((await yard.json(file, ["start"])).started).toBe(true);
      expect((await yard.json(file, ["status"])).pid).not.toBe(pid);
      expect(supervisor).not.toBeNull();
      await until("the second has left", () => daemons().length === 2);
      for (const daemon of daemons()) process.kill(Number(daemon));
    });

    test("an old state is never taken for a running service", async () => {
      const file = await yard.pack({ service: {} });
      await yard.cli(file, ["start"]);
      await yard.cli(file, ["stop"]);
      const stranger = Bun.spawn(["sleep", "60"], { detached: true });
      const state = readFileSync(yard.place("state"), "utf8")
        .replace(/^supervisor .*$/m, `supervisor ${stranger.pid}`)
        .replace(/^program .*$/m, `program ${stranger.pid}`);
      writeFileSync(yard.place("state"), state);
      expect((await yard.json(file, ["status"])).state).toBe("stopped");
      expect((await yard.cli(file, ["stop"])).out).toBe("demo does not run\n");
      expect(lives(stranger.pid)).toBe(true);
      for (const text of ["", "sealift-service 1\n", state.slice(0, 60), "\u0000".repeat(300)]) {
        writeFileSync(yard.place("state"), text);
        expect((await yard.json(file, ["status"])).state).toBe("stopped");
      }
      stranger.kill();
      expect((await yard.cli(file, ["start"])).code).toBe(0);
    });
  });
});

test("the two launchers know each other's services", async () => {
  const [one, other] = [new Yard("rust"), new Yard("go")];
  const env = { SEALIFT_DATA: join(one.folder, "data") };
  try {
    const rust = await one.pack({ service: {} });
    const go = await other.pack({ service: {}, version: "2.0.0" });
    for (const [first, second] of [
      [rust, go],
      [go, rust],
    ] as const) {
      const { pid } = await one.json(first, ["start"], env);
      expect(await one.json(second, ["status"], env)).toMatchObject({ state: "running", pid });
      expect((await one.json(second, ["start"], env)).code).toBe("SERVICE_RUNNING");
      expect((await one.json(second, ["stop"], env)).stopped).toBe(true);
      expect(lives(pid)).toBe(false);
    }
  } finally {
    await one.close();
    await other.close();
  }
});
