/** Real applications of every kind, from `docs/examples`, where nothing is installed. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { run } from "../../lib/base/mod.ts";
import { needPackages } from "../support/debian.ts";
import { testIf } from "../support/need.ts";
import { bareCommand, inBareRoot, type Packed, packExample, removeFolders } from "./bare.ts";

const MINUTES = 60_000;
afterAll(removeFolders, MINUTES);

/** One application: packed once, then asked; skipped with the reason when the index cannot be reached. */
async function application(
  name: string,
  body: (of: Packed) => void,
  words?: string[],
): Promise<void> {
  const packed = await packExample(name, words);
  if (typeof packed === "string") {
    console.error(`${name} is not packed: ${packed}`);
    testIf(packed)(name, () => undefined);
  } else describe(name, () => body(packed));
}

await application("black", (of) => {
  test(
    "formats a file with its compiled wheels",
    async () => {
      writeFileSync(join(of.work, "a.py"), "x = {  'a':37,'b':42 }\n");
      const { code, stderr } = await inBareRoot(of, ["a.py"]);
      expect({ code, stderr }).toMatchObject({
        code: 0,
        stderr: expect.stringContaining("1 file reformatted"),
      });
      expect(readFileSync(join(of.work, "a.py"), "utf8")).toBe('x = {"a": 37, "b": 42}\n');
      const { stdout } = await inBareRoot(of, ["--version"]);
      expect(stdout).toContain("compiled: yes");
    },
    2 * MINUTES,
  );
});

await application("web-service", (of) => {
  test(
    "starts, answers, and stops when it is told to",
    async () => {
      const server = Bun.spawn(bareCommand(of, ["--uds", "/work/api.sock"]), {
        stdout: "ignore",
        stderr: "pipe",
      });
      const socket = join(of.work, "api.sock");
      for (let i = 0; i < 600 && !existsSync(socket); i++) await Bun.sleep(100);
      const ask = (path: string) => fetch(`http://service${path}`, { unix: socket });
      expect(await (await ask("/parts/valve")).json()).toEqual({ name: "valve", count: 12 });
      expect((await ask("/parts/anchor")).status).toBe(404);
      expect(await (await ask("/openapi.json")).json()).toMatchObject({ info: { title: "Stock" } });
      server.kill("SIGTERM");
      await server.exited;
      await expect(ask("/parts/valve")).rejects.toThrow();
    },
    2 * MINUTES,
  );
});

await application("numbers", (of) => {
  test(
    "computes with NumPy and pandas",
    async () => {
      const input = "sensor,value\na,3\na,4\nb,1.5\n";
      const { code, stdout, stderr } = await inBareRoot(of, [], { input });
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout.trim().split(/\s+/).slice(5, 10)).toEqual(["a", "2", "3.5", "4.0", "3.536"]);
    },
    3 * MINUTES,
  );
});

await application("extension", (of) => {
  test(
    "runs the C extension that was built while packing",
    async () => {
      const { code, stdout } = await inBareRoot(of, [], { input: "aaab" });
      expect({ code, first: stdout.split("\n").slice(0, 2) }).toEqual({
        code: 0,
        first: ["0x61 3", "0x62 1"],
      });
    },
    2 * MINUTES,
  );
});

await application("poetry-app", (of) => {
  test(
    "is a project without [project]",
    async () => {
      expect(await inBareRoot(of, ["crew"])).toEqual({
        code: 0,
        stdout: "Ahoy, crew!\n",
        stderr: "",
      });
    },
    2 * MINUTES,
  );
});

await application(
  "setup-py-app",
  (of) => {
    test(
      "is a project with nothing but a setup.py",
      async () => {
        const { code, stdout, stderr } = await inBareRoot(of, []);
        expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
        expect(stdout.trim().split("\n").at(-1)).toBe("   3  pallet");
      },
      2 * MINUTES,
    );
  },
  ["-m", "setup.py"],
);

await application("notebook", (of) => {
  const cell = {
    cell_type: "code",
    metadata: {},
    outputs: [],
    execution_count: null,
    source: "import sys; print(6 * 7, sys.prefix)",
  };
  const notebook = { cells: [cell], metadata: {}, nbformat: 4, nbformat_minor: 4 };

  test(
    "starts a kernel, executes a notebook and converts it",
    async () => {
      writeFileSync(join(of.work, "answer.ipynb"), JSON.stringify(notebook));
      const { code, stderr } = await inBareRoot(of, ["--to", "html", "--execute", "answer.ipynb"]);
      expect({ code, stderr }).toMatchObject({
        code: 0,
        stderr: expect.stringContaining("answer.html"),
      });
      expect(readFileSync(join(of.work, "answer.html"), "utf8")).toContain("42 /cache/workenv/");
    },
    5 * MINUTES,
  );
});

const tmux = await needPackages(["tmux"]);
await application("terminal", (of) => {
  testIf(tmux)(
    "draws on a terminal and takes keys",
    async () => {
      const server = ["tmux", "-L", `sealift-${process.pid}`];
      const screen = async () =>
        new TextDecoder().decode((await run([...server, "capture-pane", "-p"])).stdout);
      const shows = async (text: string) => {
        for (let i = 0; i < 300; i++) {
          if ((await screen()).includes(text)) return true;
          await Bun.sleep(100);
        }
        throw new Error(`${text} did not appear on:\n${await screen()}`);
      };
      const command = bareCommand(of, [], { TERM: "xterm-256color", LANG: "C.UTF-8" }).map(
        (word) => `'${word}'`,
      );
      const argv = [
        ...server,
        "new-session",
        "-d",
        "-x",
        "80",
        "-y",
        "24",
        `${command.join(" ")}; sleep 60`,
      ];
      expect((await run(argv)).code).toBe(0);
      try {
        const press = async (...keys: string[]) => await run([...server, "send-keys", ...keys]);
        expect(await shows("— 0 of 3")).toBe(true);
        await press("Space");
        expect(await shows("— 1 of 3")).toBe(true);
        await press("Down", "Space");
        expect(await shows("— 2 of 3")).toBe(true);
        await press("q");
        expect(await shows("2 of 3 done")).toBe(true);
      } finally {
        await run([...server, "kill-server"]);
      }
    },
    2 * MINUTES,
  );
});
