/** Commits of a repository that this test makes. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { findProgram, run, silentProgress } from "../../../lib/base/mod.ts";
import { gitCheckout, gitOrigin } from "../../../lib/python/resolve/git.ts";
import { codeOf, offlineContext, scratch } from "../fixture.ts";

const hasGit = findProgram("git", process.env) !== undefined;
const repository = mkdtempSync(join(tmpdir(), "sealift-git-"));
afterAll(() => rmSync(repository, { recursive: true, force: true }));

async function git(...argv: string[]): Promise<string> {
  const own = [
    "-c",
    "user.name=t",
    "-c",
    "user.email=t@example.org",
    "-c",
    "init.defaultBranch=main",
  ];
  const { stdout, stderr, code } = await run(["git", ...own, ...argv], { cwd: repository });
  if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim();
}

async function commit(text: string): Promise<string> {
  writeFileSync(join(repository, "file"), text);
  await git("add", "file");
  await git("commit", "--quiet", "-m", text);
  return await git("rev-parse", "HEAD");
}

describe.skipIf(!hasGit)("gitCheckout() (skipped without git)", () => {
  let first = "";
  let second = "";
  beforeAll(async () => {
    await git("init", "--quiet");
    first = await commit("one\r\n");
    await git("tag", "v1");
    second = await commit("two");
  });
  const source = (hash: string) => ({ url: `file://${repository}`, commit: hash });

  test("is the commit with its tags, once fetched without any network", async () => {
    using cache = scratch();
    const place = await gitCheckout(offlineContext(cache.path), source(first), "x");
    expect(readFileSync(join(place, "file"), "utf8")).toBe("one\r\n");
    const { stdout } = await run(["git", "describe", "--tags"], { cwd: place });
    expect(new TextDecoder().decode(stdout)).toBe("v1\n");
    const other = { url: "https://example.org/never-asked", commit: first };
    expect(await codeOf(() => gitCheckout(offlineContext(cache.path), other, "x"))).toBe("OFFLINE");
    expect(await gitCheckout(offlineContext(cache.path), source(first), "x")).toBe(place);
  });
  test("also a commit that no branch leads to any more", async () => {
    using cache = scratch();
    await git("config", "uploadpack.allowAnySHA1InWant", "true");
    await git("reset", "--quiet", "--hard", first);
    try {
      const place = await gitCheckout(offlineContext(cache.path), source(second), "x");
      expect(readFileSync(join(place, "file"), "utf8")).toBe("two");
    } finally {
      await git("reset", "--quiet", "--hard", second);
    }
  });
  test("a submodule elsewhere is not fetched without the network", async () => {
    using cache = scratch();
    const asked: string[] = [];
    using server = Bun.serve({
      port: 0,
      fetch: ({ url }) => (asked.push(url), new Response("", { status: 404 })),
    });
    const lines = ['[submodule "s"]', "path = s", `url = http://127.0.0.1:${server.port}/s.git`];
    writeFileSync(join(repository, ".gitmodules"), `${lines.join("\n")}\n`);
    await git("add", ".gitmodules");
    await git("update-index", "--add", "--cacheinfo", `160000,${first},s`);
    const third = await commit("three");
    const fetched = (offline: boolean) =>
      codeOf(() => gitCheckout({ ...offlineContext(cache.path), offline }, source(third), "x"));
    expect(await fetched(true)).toBe("GIT_FETCH");
    expect(asked).toEqual([]);
    expect(await fetched(false)).toBe("GIT_FETCH");
    expect(asked.length).toBeGreaterThan(0);
    await git("reset", "--quiet", "--hard", second);
  });
  test.each([
    ["a commit that does not exist", "GIT_COMMIT", "0".repeat(40), (url: string) => url],
    [
      "a repository that does not exist",
      "GIT_FETCH",
      "0".repeat(40),
      (url: string) => `${url}-gone`,
    ],
    ["an address that is an option", "GIT_FETCH", "0".repeat(40), () => "--upload-pack=touch x"],
    ["an address that runs a program", "GIT_FETCH", "0".repeat(40), () => "ext::sh -c touch% x"],
  ])("refuses %s and leaves nothing behind", async (_, code, hash, address) => {
    using cache = scratch();
    const bad = { url: address(`file://${repository}`), commit: hash };
    expect(await codeOf(() => gitCheckout(offlineContext(cache.path), bad, "x"))).toBe(code);
    expect(readdirSync(join(cache.path, "python", "git"))).toEqual([]);
    expect(existsSync(join(cache.path, "x"))).toBe(false);
  });
  test("without git says which package needs it", async () => {
    using cache = scratch();
    const ctx = {
      offline: true,
      cacheDir: cache.path,
      progress: silentProgress,
      env: { PATH: cache.path },
    };
    await expect(gitCheckout(ctx, source(first), "thing")).rejects.toMatchObject({
      code: "GIT_MISSING",
      message: expect.stringContaining("thing comes from file://"),
    });
  });
});

test("an origin shows no password", () => {
  const source = { url: "https://user:secret@example.org/a.git", commit: "c".repeat(40) };
  expect(gitOrigin(source, "sub")).toBe(
    `git+https://example.org/a.git@${"c".repeat(40)}#subdirectory=sub`,
  );
});
