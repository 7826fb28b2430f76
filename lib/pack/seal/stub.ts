/** The launcher of a package: an embedded one, or a file of the user. */
import { basename } from "node:path";

import { FormatError, readFileBounded } from "../../base/mod.ts";
import { sha256Hex } from "../../codec/mod.ts";
import { embeddedLauncher, listLaunchers, type Platform } from "../../launcher/mod.ts";

export interface Stub {
  bytes: Uint8Array;
  tool: string;
  toolVersion: string;
}

/** A launcher is a program, not an image of a disk. */
const MAX_STUB = 256 << 20;

export async function findStub(
  kind: "auto" | "rust" | "go",
  file: string | undefined,
  platform: Platform,
): Promise<Stub> {
  if (file === undefined) return await embeddedLauncher(kind, platform);
  const bytes = await readFileBounded(file, MAX_STUB);
  checkExecutableFormat(bytes, file, platform);
  const known = listLaunchers().find((launcher) => launcher.sha256 === sha256Hex(bytes));
  if (known) return await embeddedLauncher(known.language, known.platform);
  return { bytes, tool: basename(file), toolVersion: "unknown" };
}

const FORMATS: Record<string, { name: string; begins: number[][] }> = {
  linux: { name: "ELF", begins: [[0x7f, 0x45, 0x4c, 0x46]] },
  darwin: {
    name: "Mach-O",
    begins: [
      [0xcf, 0xfa, 0xed, 0xfe],
      [0xca, 0xfe, 0xba, 0xbe],
    ],
  },
  windows: { name: "PE", begins: [[0x4d, 0x5a]] },
};

/** A package whose launcher its system cannot start is found out here, not by the user. */
function checkExecutableFormat(bytes: Uint8Array, file: string, platform: Platform): void {
  const format = FORMATS[platform.split("_")[0] ?? ""];
  if (format?.begins.some((magic) => magic.every((byte, i) => bytes[i] === byte))) return;
  throw new FormatError(
    "LAUNCHER_FORMAT",
    `${file}: is no ${format?.name} program, which ${platform} needs`,
    {
      hint: "Name a launcher for that platform, or another --platform.",
      details: { file, platform },
    },
  );
}
