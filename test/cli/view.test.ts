import { describe, expect, test } from "bun:test";

import { barProgress, lineProgress } from "../../lib/cli/bar.ts";
import { useColor } from "../../lib/cli/terminal.ts";
import { makeView, printable } from "../../lib/cli/view.ts";

const plain = makeView({ color: false, verbose: false });
const colored = makeView({ color: true, verbose: false });

describe("View", () => {
  test("paints only when colour is on", () => {
    expect(plain.style.red("x")).toBe("x");
    expect(colored.style.red("x")).toBe("\u001b[31mx\u001b[39m");
  });

  test("aligns columns by what is seen", () => {
    const rows = [
      ["a", "1"],
      [colored.style.bold("bbb"), "2"],
      ["日本", "3"],
    ];
    expect(Bun.stripANSI(plain.table(rows))).toBe("a     1\nbbb   2\n日本  3");
    expect(plain.table([])).toBe("");
  });

  test.each([
    [0, "0 B"],
    [9999, "9,999 B"],
    [10_000, "9.8 KiB"],
    [110_000_000, "104.9 MiB"],
    [2 ** 60, "1048576.0 TiB"],
  ])("writes %d bytes as %s", (bytes, text) => {
    expect(plain.size(bytes)).toBe(text);
  });
});

test("printable() shows what could fool a terminal", () => {
  expect(printable("a\u001b[2Jb\rc\u202ed\tе\n")).toBe("a\\u{1b}[2Jb\\u{d}c\\u{202e}d\tе\n");
});

test.each([
  ["auto", {}, false],
  ["auto", { NO_COLOR: "0" }, false],
  ["always", { NO_COLOR: "1" }, true],
  ["never", {}, false],
] as const)("useColor() with --color %s and %j, not on a terminal", (flag, env, expected) => {
  // The output of a test is a pipe or a file, or NO_COLOR decides before the terminal is asked.
  if (flag === "auto" && !("NO_COLOR" in env) && process.stdout.isTTY) return;
  expect(useColor(flag, env, 1)).toBe(expected);
});

describe("barProgress()", () => {
  function screen() {
    const text: string[] = [];
    let time = 0;
    const progress = barProgress(
      (part) => text.push(part),
      () => time,
    );
    return { text, progress, pass: (ms: number) => (time += ms) };
  }

  test("shows nothing for half a second", () => {
    const { text, progress, pass } = screen();
    const task = progress.task("Packing", 100);
    pass(499);
    task.advance(50);
    task.done();
    expect(text).toEqual([]);
  });

  test("draws one line, not more often than ten times a second, and erases it", () => {
    const { text, progress, pass } = screen();
    const task = progress.task("Packing", 100);
    pass(600);
    task.advance(50);
    pass(50);
    task.advance(1);
    pass(60);
    task.advance(100);
    task.done();
    expect(text).toHaveLength(3);
    expect(text[0]).toContain("50 %");
    expect(text[1]).toContain("100 %");
    expect(text[2]).toBe("\r\u001b[K");
  });

  test("takes the bar away before a step", () => {
    const { text, progress, pass } = screen();
    const task = progress.task("Waiting");
    pass(2600);
    task.advance(1);
    progress.step("Sealing");
    expect(text).toEqual(["\r\u001b[KWaiting  2 s", "\r\u001b[K", "Sealing\n"]);
  });
});

test("lineProgress() says once what takes longer than half a second", () => {
  const lines: string[] = [];
  let time = 0;
  const progress = lineProgress(
    (line) => lines.push(line),
    () => time,
  );
  const quick = progress.task("Quick", 10);
  quick.advance(10);
  quick.done();
  const slow = progress.task("Slow", 10);
  time = 600;
  slow.advance(1);
  slow.advance(1);
  slow.done();
  progress.step("Done");
  expect(lines).toEqual(["Slow", "Done"]);
});
