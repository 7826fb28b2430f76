/** Every conformance case × writer × embedded stub that this machine can start; arm64 stubs under qemu-user. */

import { describe, expect, test } from "bun:test";

import {
  caseGroups,
  embeddedLauncher,
  hostPlatform,
  listLaunchers,
  runCase,
  starterFor,
} from "../../lib/launcher/mod.ts";
import { needPackages } from "../support/debian.ts";

const emulator = await needPackages(["qemu-user-static"]);

for (const { name, language, platform } of listLaunchers()) {
  const [os, arch] = platform.split("_") as [string, string];
  if (os !== "linux") continue; // other systems run `sealift launchers test` themselves
  const reason = platform === hostPlatform() ? true : emulator;
  describe(`launcher ${name}`, () => {
    for (const group of caseGroups()) {
      for (const one of group.cases.filter(({ on }) => on.includes(os))) {
        for (const writer of one.writers) {
          const title = `${group.name}: ${one.name} (${writer})`;
          if (reason !== true) test.skip(`${title}: ${reason}`, () => {});
          else
            test(title, () => expectCase(name, one, writer), arch === "arm64" ? 120_000 : 60_000);
        }
      }
    }

    async function expectCase(
      stub: string,
      one: Parameters<typeof runCase>[0],
      writer: Parameters<typeof runCase>[1],
    ) {
      const launcher = await embeddedLauncher(language, platform);
      const { problems } = await runCase(one, writer, launcher, starterFor(platform) ?? []);
      expect({ stub, problems }).toEqual({ stub, problems: [] });
    }
  });
}
