/**
 * A root that holds the C library and nothing else, for bubblewrap: what a target machine without Python, Node, shell and
 * network looks like. Used by the quickstart and by the tests.
 */

import { existsSync, readdirSync, realpathSync } from "node:fs";
import { join } from "node:path";

const LIBRARIES = [
  "libc.so.6",
  "libm.so.6",
  "libpthread.so.0",
  "libdl.so.2",
  "librt.so.1",
  "libutil.so.1",
  "libresolv.so.2",
  "libnss_files.so.2",
  "libnss_dns.so.2",
];
const FOLDERS = ["/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/lib64", "/usr/lib64", "/lib"];
const LOADERS = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];

/**
 * Options that build the root: no network, no processes of others, an empty home and /tmp, and these files only.
 * @param folder working directory inside
 */
export function bareRoot(binds: Record<string, string> = {}, folder = "/tmp"): string[] {
  const args = [
    "--unshare-all",
    "--die-with-parent",
    "--clearenv",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
    "--tmpfs",
    "/tmp",
  ];
  for (const path of libraryFiles()) args.push("--ro-bind", realpathSync(path), path);
  for (const [from, to] of Object.entries(binds)) args.push("--ro-bind", from, to);
  return [...args, "--setenv", "HOME", "/tmp", "--setenv", "PATH", "/nowhere", "--chdir", folder];
}

function libraryFiles(): string[] {
  const folder = FOLDERS.find((path) => existsSync(join(path, "libc.so.6")));
  if (folder === undefined) throw new Error("the C library was not found in any usual folder");
  const present = new Set(readdirSync(folder));
  const loaders = LOADERS.filter((path) => existsSync(path));
  return [
    ...loaders,
    ...LIBRARIES.filter((name) => present.has(name)).map((name) => join(folder, name)),
  ];
}
