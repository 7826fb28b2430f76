import { expect, test } from "bun:test";

import manifest from "../../package.json";
import { checkIntegrity, locked } from "../../scripts/base.ts";
import { TARGETS } from "../../scripts/targets.ts";

test.each(TARGETS.map(({ base }) => base))(
  "the lock file pins %s to the version of Bun",
  async (base) => {
    const { version, integrity } = await locked(base);
    expect(version).toBe(manifest.devDependencies.bun);
    expect(Buffer.from(integrity.replace("sha512-", ""), "base64")).toHaveLength(64);
  },
);

test("checkIntegrity() refuses one changed byte", () => {
  const abc = new TextEncoder().encode("abc");
  const digest =
    "sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==";
  expect(() => checkIntegrity("x@1", abc, digest)).not.toThrow();
  abc[0] = 0;
  expect(() => checkIntegrity("x@1", abc, digest)).toThrow("x@1: the archive is sha512-");
});

test("locked() names a package that is not there", () => {
  expect(locked("no-such-package")).rejects.toThrow("no-such-package");
});
