/**
 * The systems that `sealift` is compiled for, and what a finished file of each must look like.
 */

export interface Target {
  /** As in `dist/sealift-<name>`. */
  name: string;
  /** The package that holds Bun for it; a compiled program is that executable with the program inside. */
  base: string;
  executable: "bin/bun" | "bin/bun.exe";
  format: Format;
}

export type Format = `${"elf" | "macho" | "pe"}-${"x64" | "arm64"}`;

export const TARGETS: readonly Target[] = [
  target("linux-x64", "bun-linux-x64", "elf-x64"),
  target("linux-arm64", "bun-linux-aarch64", "elf-arm64"),
  target("linux-x64-musl", "bun-linux-x64-musl", "elf-x64"),
  target("linux-arm64-musl", "bun-linux-aarch64-musl", "elf-arm64"),
  target("darwin-x64", "bun-darwin-x64", "macho-x64"),
  target("darwin-arm64", "bun-darwin-aarch64", "macho-arm64"),
  target("windows-x64", "bun-windows-x64", "pe-x64"),
];

/** The target of the machine that builds, `undefined` when sealift is not compiled for it. */
export function hostTarget(): Target | undefined {
  const system = { linux: "linux", darwin: "darwin", win32: "windows" }[process.platform as string];
  const musl = process.platform === "linux" && isMusl() ? "-musl" : "";
  return TARGETS.find(({ name }) => name === `${system}-${process.arch}${musl}`);
}

/** The name of the file in `dist/`. */
export function outputName({ name }: Target): string {
  return name.startsWith("windows") ? `sealift-${name}.exe` : `sealift-${name}`;
}

/** What the first bytes of an executable say; `undefined` for anything else. The header of 4 KiB is enough. */
export function executableFormat(header: Uint8Array): Format | undefined {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  if (header.length < 64) return undefined;
  if (view.getUint32(0) === 0x7f454c46) return machine("elf", view.getUint16(18, true), 0x3e, 0xb7);
  if (view.getUint32(0, true) === 0xfeedfacf) {
    return machine("macho", view.getUint32(4, true), 0x01000007, 0x0100000c);
  }
  if (view.getUint16(0) !== 0x4d5a) return undefined;
  const pe = view.getUint32(60, true);
  if (pe > header.length - 6 || view.getUint32(pe) !== 0x50450000) return undefined;
  return machine("pe", view.getUint16(pe + 4, true), 0x8664, 0xaa64);
}

function machine(
  kind: "elf" | "macho" | "pe",
  value: number,
  x64: number,
  arm64: number,
): Format | undefined {
  if (value === x64) return `${kind}-x64`;
  return value === arm64 ? `${kind}-arm64` : undefined;
}

function target(name: string, base: string, format: Format): Target {
  return {
    name,
    base: `@oven/${base}`,
    executable: format.startsWith("pe") ? "bin/bun.exe" : "bin/bun",
    format,
  };
}

function isMusl(): boolean {
  // Without a glibc version the process runs on another C library.
  const report = process.report?.getReport() as
    { header?: { glibcVersionRuntime?: string } } | undefined;
  return report?.header?.glibcVersionRuntime === undefined;
}
