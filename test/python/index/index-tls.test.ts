/** Certificates: those of the system, those of a file, and hosts that are trusted without any. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { findProgram, httpGet, run, silentProgress } from "../../../lib/base/mod.ts";
import { indexAccess } from "../../../lib/python/index/index-access.ts";
import { indexSettings } from "../../../lib/python/index/index-settings.ts";
import type { IndexWishes } from "../../../lib/python/project/index-keys.ts";
import { testIf } from "../../support/need.ts";

const folder = mkdtempSync(join(tmpdir(), "sealift-tls-"));
const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
const available = findProgram("openssl") === undefined ? "no openssl" : true;
if (available === true) {
  const how =
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost";
  const names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  await run(["openssl", ...how.split(" "), ...names, "-keyout", key, "-out", cert]);
}
const plain = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("plain") });
const secure =
  available === true
    ? Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        tls: { key: readFileSync(key), cert: readFileSync(cert) },
        fetch: (request) =>
          request.url.endsWith("/down")
            ? Response.redirect(plain.url.href)
            : new Response("secure"),
      })
    : undefined;
afterAll(async () => {
  await Promise.all([plain.stop(true), secure?.stop(true)]);
  rmSync(folder, { recursive: true, force: true });
});

async function got(path: string, wishes: IndexWishes): Promise<string> {
  const settings = indexSettings(wishes, {}, "/", { HOME: "/nonexistent" });
  const context = { offline: false, progress: silentProgress };
  const options = { maxBytes: 1000, attempts: 1, access: indexAccess(settings) };
  return await httpGet(context, `https://127.0.0.1:${secure?.port}/${path}`, options).then(
    ({ bytes }) => new TextDecoder().decode(bytes),
    (error) => `${error.code} ${error.exit}`,
  );
}

const HOST = "127.0.0.1";
const cases: [string, string, IndexWishes, string][] = [
  ["a certificate that nobody signed is refused", "x", {}, "HTTP_UNREACHABLE 5"],
  ["but not when it stands in the file of certificates", "x", { caFile: cert }, "secure"],
  ["nor when the host is trusted", "x", { trustedHosts: [HOST] }, "secure"],
  [
    "another host that is trusted does not help",
    "x",
    { trustedHosts: ["other.test"] },
    "HTTP_UNREACHABLE 5",
  ],
  [
    "from https nothing leads to plain http, not even on this machine",
    "down",
    { caFile: cert },
    "HTTP_REDIRECT 5",
  ],
  ["unless that host is trusted", "down", { trustedHosts: [HOST] }, "plain"],
];
for (const [name, path, wishes, expected] of cases)
  testIf(available)(name, async () => {
    expect(await got(path, wishes)).toBe(expected);
  });

test("a refused certificate is named, so that one knows what to do", async () => {
  if (secure === undefined) return;
  const context = { offline: false, progress: silentProgress };
  const failure = httpGet(context, secure.url.href, { maxBytes: 10, attempts: 1 });
  await expect(failure).rejects.toThrow(/CERT|SIGNED/);
});
