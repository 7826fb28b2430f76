/** `sealift --version --json`: the versions and digests of everything inside. */
import { version } from "../base/mod.ts";
import { listLaunchers } from "../launcher/mod.ts";

export async function versions(): Promise<Record<string, unknown>> {
  return {
    schema: "sealift.version/1",
    ok: true,
    version,
    bun: { version: Bun.version, revision: Bun.revision },
    platform: { os: process.platform, arch: process.arch },
    launchers: await listLaunchers(),
  };
}
