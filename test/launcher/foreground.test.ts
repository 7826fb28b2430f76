/** Services in the foreground, their ports and their entries, with both stubs (launcher.md, "Services"). */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";

import { findProgram } from "../../lib/base/mod.ts";
import { type StubLanguage } from "../../lib/launcher/mod.ts";
import { testIf } from "../support/need.ts";
import { freePort, lives, until, Yard } from "./service.ts";

setDefaultTimeout(120_000);

const python = findProgram("python3");
const SERVER = `#!/bin/sh
exec python3 -c '
import http.server, os
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.environ["PORT"].encode())
http.server.HTTPServer(("127.0.0.1", int(os.environ["SEALIFT_PORT"])), H).serve_forever()'
`;

describe.each(["rust", "go"] as StubLanguage[])("the %s launcher", (language) => {
  let yard: Yard;
  beforeEach(() => {
    yard = new Yard(language);
  });
  afterEach(() => yard.close());

  describe("in the foreground", () => {
    test("passes exit codes on and starts again only what failed", async () => {
      for (const [restart, script, code, runs] of [
        ["on-failure", "exit 0", 0, 1],
        ["no", "exit 5", 5, 1],
        ["on-failure", "exit 5", 5, 3],
        ["always", "exit 0", 0, 3],
        ["no", "kill -9 $$", 137, 1],
      ] as const) {
        yard.write("runs", "");
        const service = { restart, restart_delay: 0, restart_limit: 2 };
        const file = await yard.pack({
          service,
          script: `#!/bin/sh\necho run >> $OUT/runs\n${script}\n`,
        });
        const child = yard.foreground(file);
        expect({ restart, script, code: await child.exited }).toEqual({ restart, script, code });
        expect(yard.read("runs")).toBe("run\n".repeat(runs));
      }
    });

    test("pauses twice as long each time", async () => {
      const file = await yard.pack({
        service: { restart_delay: 1, restart_limit: 2 },
        script: "#!/bin/sh\nexit 4\n",
      });
      const child = yard.foreground(file);
      expect(await child.exited).toBe(4);
      const text = await new Response(child.stderr).text();
      expect(text.match(/starts again in \d+ s/g)).toEqual([
        "starts again in 1 s",
        "starts again in 2 s",
      ]);
    });

    test("a signal for the end ends it, once, with the program's exit code", async () => {
      for (const signal of ["SIGTERM", "SIGINT"] as const) {
        const script = `#!/bin/sh\ntrap 'echo ${signal}; exit 3' ${signal.slice(3)}\necho up\nwhile :; do sleep 0.05; done\n`;
        const file = await yard.pack({ service: { restart: "always" }, script });
        const child = yard.foreground(file);
        await until("up", async () => (await yard.json(file, ["status"])).state === "running");
        await Bun.sleep(100);
        child.kill(signal);
        expect(await child.exited).toBe(3);
        expect(await new Response(child.stdout).text()).toBe(`up\n${signal}\n`);
      }
    });

    test("also while it waits to start again", async () => {
      const file = await yard.pack({
        service: { restart_delay: 600 },
        script: "#!/bin/sh\nexit 4\n",
      });
      const child = yard.foreground(file);
      await until("a failure", async () => (await yard.json(file, ["status"])).exit === 4);
      expect(await yard.json(file, ["status"])).toMatchObject({ ok: false, state: "starting" });
      expect((await yard.cli(file, ["stop"])).code).toBe(0);
      expect(await child.exited).toBe(4);
    });

    test("other signals are for the program", async () => {
      const script = `#!/bin/sh\ntrap 'echo hup' HUP\ntrap 'echo usr1' USR1\ntrap 'echo quit' QUIT\ntrap 'exit 0' TERM\necho up\nwhile :; do sleep 0.05; done\n`;
      const file = await yard.pack({ service: {}, script });
      const child = yard.foreground(file);
      const reader = child.stdout.getReader();
      let said = "";
      const hears = async (word: string) => {
        while (!said.includes(word)) {
          const { done, value } = await reader.read();
          if (done) throw new Error(`no ${word} in ${said}`);
          said += new TextDecoder().decode(value);
        }
      };
      await hears("up");
      for (const [signal, word] of [
        ["SIGHUP", "hup"],
        ["SIGUSR1", "usr1"],
        ["SIGQUIT", "quit"],
      ] as const) {
        child.kill(signal);
        await hears(word);
      }
      child.kill("SIGTERM");
      expect(await child.exited).toBe(0);
    });

    test("a second start says who runs, and that this is another version", async () => {
      const one = await yard.pack({ service: {} });
      const two = await yard.pack({ service: {}, version: "2.0.0" });
      const { supervisor, pid } = await yard.json(one, ["start"]);
      const same = yard.foreground(one);
      expect(await same.exited).toBe(104);
      expect(await new Response(same.stderr).text()).toContain(
        `demo 1.0.0 runs already: process ${supervisor}\n`,
      );
      const other = yard.foreground(two);
      expect(await other.exited).toBe(104);
      expect(await new Response(other.stderr).text()).toContain("; this is version 2.0.0\n");
      expect((await yard.json(two, ["start"])).code).toBe("SERVICE_RUNNING");
      expect(await yard.json(two, ["status"])).toMatchObject({
        state: "running",
        version: "1.0.0",
      });
      expect(await yard.json(two, ["restart"])).toMatchObject({ ok: true, version: "2.0.0" });
      expect(lives(pid)).toBe(false);
      expect(await yard.json(one, ["status"])).toMatchObject({
        state: "running",
        version: "2.0.0",
      });
    });
  });

  describe("with a port", () => {
    const withPython = python !== undefined;

    testIf(withPython || "needs python3")("start returns when it accepts connections", async () => {
      const port = await freePort();
      const file = await yard.pack({ service: { port }, script: SERVER });
      const started = await yard.json(file, ["start"]);
      expect(started).toMatchObject({ ok: true, port });
      expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe(String(port));
      expect(await yard.json(file, ["status"])).toMatchObject({ port, accepts: true });
      expect((await yard.cli(file, ["status"])).out).toContain(
        `port      ${port}, accepts connections\n`,
      );
    });

    testIf(withPython || "needs python3")(
      "SEALIFT_PORT comes before PORT, and PORT before the package",
      async () => {
        const [own, general, special] = [await freePort(), await freePort(), await freePort()];
        const file = await yard.pack({ service: { port: own }, script: SERVER });
        expect((await yard.json(file, ["start"], { PORT: `${general}` })).port).toBe(general);
        await yard.cli(file, ["stop"]);
        const both = { PORT: `${general}`, SEALIFT_PORT: `${special}` };
        expect((await yard.json(file, ["start"], both)).port).toBe(special);
        expect(await (await fetch(`http://127.0.0.1:${special}/`)).text()).toBe(String(special));
      },
    );

    test("a port that never opens is an error, and the program goes on", async () => {
      const file = await yard.pack({ service: { port: await freePort(), start_timeout: 1 } });
      const { code, err } = await yard.cli(file, ["start"]);
      expect(code).toBe(104);
      expect(err).toContain("does not accept connections on port");
      expect(await yard.json(file, ["status"])).toMatchObject({ state: "running", accepts: false });
    });

    test("a port that somebody else uses is said before anything starts", async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as { port: number };
      const file = await yard.pack({ service: { port } });
      const { code, err } = await yard.cli(file, ["start"]);
      server.close();
      expect(code).toBe(104);
      expect(err).toContain(`port ${port} is in use by another program`);
      expect(existsSync(yard.place("log"))).toBe(false);
    });
  });

  describe("of entries", () => {
    const entries = { work: ["{workenv}/run", "work"], once: ["/bin/echo", "once"] };

    test("those that the package names are services of their own", async () => {
      const file = await yard.pack({ service: { entries: ["work"] }, entries });
      const main = await yard.json(file, ["start"]);
      const work = await yard.json(file, ["start"], { SEALIFT_ENTRY: "work" });
      expect(main.pid).not.toBe(work.pid);
      expect(readFileSync(yard.place("log", "demo@work"), "utf8")).toBe("up work\n");
      await yard.cli(file, ["stop"], { SEALIFT_ENTRY: "work" });
      expect((await yard.json(file, ["status"])).state).toBe("running");
    });

    test("others are programs as ever", async () => {
      const file = await yard.pack({ service: {}, entries });
      const child = yard.foreground(file, [], { SEALIFT_ENTRY: "once" });
      expect(await new Response(child.stdout).text()).toBe("once\n");
      expect((await yard.json(file, ["status"], { SEALIFT_ENTRY: "once" })).code).toBe(
        "SERVICE_NONE",
      );
    });
  });
});
