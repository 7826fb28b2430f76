/** What is measured: a tree of 4,000 files and 110 MB, big files, and tiny static programs, all made here and the same every time. */

import { closeSync, existsSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";

/** A small deterministic generator (mulberry32), values in [0, 1). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** 4,000 files, 110 MB: three quarters source-like text, the rest binary with structure, sizes spread as in a Python tree. */
export function makeTree(folder: string): void {
  if (existsSync(join(folder, ".complete"))) return;
  const next = random(7);
  const words = Array.from({ length: 4000 }, () => word(next));
  const weights = Array.from({ length: 4000 }, () => Math.exp(2.2 * gauss(next)));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  weights.forEach((weight, i) => {
    const size = Math.max(64, Math.round((weight / total) * 110e6));
    const path = join(folder, `pkg${i % 40}`, `part${i % 9}`);
    mkdirSync(path, { recursive: true });
    const text = i % 4 !== 0;
    writeFileSync(
      join(path, `file${i}.${text ? "py" : "bin"}`),
      text ? prose(next, words, size) : binary(next, size),
    );
  });
  writeFileSync(join(folder, ".complete"), "");
}

/** Half compressible, half random: what models and images are like. */
export function makeBigFile(path: string, bytes: number): void {
  if (existsSync(path)) return;
  const next = random(11);
  const out = openSync(`${path}.part`, "w");
  const block = binary(next, 8 << 20);
  for (let written = 0; written < bytes; written += block.length) {
    new DataView(block.buffer).setFloat64((written / 4096) % (block.length - 8), next());
    writeSync(out, block, 0, Math.min(block.length, bytes - written));
  }
  closeSync(out);
  Bun.spawnSync(["mv", `${path}.part`, path]);
}

/** Compiles a static C program with the machine's compiler. */
export function compileC(path: string, source: string): void {
  const { exitCode, stderr } = Bun.spawnSync(
    ["cc", "-O2", "-static", "-s", "-o", path, "-x", "c", "-"],
    {
      stdin: new TextEncoder().encode(source),
    },
  );
  if (exitCode !== 0) throw new Error(`cc failed: ${stderr.toString()}`);
}

/** Does nothing. */
export const NOOP = "int main(void){return 0;}";

/** The no-op stub: starts the command that stands in its environment, and nothing else. */
export const EXEC_STUB = `
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) { char *p = getenv("BENCH_PROGRAM"); argv[0] = p; execv(p, argv); return 127; }
`;

/**
 * Runs the command behind it and writes its peak resident memory (KiB) to the file in its environment. A program of its own, because Linux
 * counts what a process had before it started the command, and the bench itself is large.
 */
export const RESIDENT = `
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
  (void)argc;
  struct rusage used;
  int status;
  pid_t pid = fork();
  if (pid == 0) { execvp(argv[1], argv + 1); _exit(127); }
  if (wait4(pid, &status, 0, &used) != pid) return 126;
  FILE *out = fopen(getenv("BENCH_RESIDENT"), "w");
  if (out == NULL || fprintf(out, "%ld", used.ru_maxrss) < 0 || fclose(out) != 0) return 126;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
`;

function word(next: () => number): string {
  return Array.from({ length: 2 + Math.floor(next() * 9) }, () =>
    String.fromCharCode(97 + Math.floor(next() * 26)),
  ).join("");
}

function prose(next: () => number, words: string[], size: number): string {
  const parts: string[] = [];
  for (let length = 0; length < size;) {
    const part = words[Math.floor(next() ** 3 * words.length)] + (next() < 0.12 ? "\n    " : " ");
    parts.push(part);
    length += part.length;
  }
  return parts.join("").slice(0, size);
}

function binary(next: () => number, size: number): Uint8Array {
  const out = new Uint8Array(size);
  for (let i = 0; i < size; i += 16) {
    const value = Math.floor(next() * 4294967296);
    for (let j = 0; j < Math.min(16, size - i); j++)
      out[i + j] = j < 6 ? (value >>> ((j % 4) * 8)) & 255 : (i >> 8) & 15;
  }
  return out;
}

function gauss(next: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}
