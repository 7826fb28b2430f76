/** What of a Python stays behind, because an application never needs it: tests, editors, headers, what only serves to build more. */
import type { OptionalPart } from "../project/python-table.ts";

/** Relative to the standard library; the ones with a part's name come along when that part is asked for. */
const FOLDERS: Record<string, OptionalPart | undefined> = {
  test: "test",
  idlelib: "idlelib",
  tkinter: "tkinter",
  turtledemo: "tkinter",
  ensurepip: "ensurepip",
  "site-packages": undefined,
  "dist-packages": undefined,
  "unittest/test": "test",
  "distutils/tests": "test",
  "lib2to3/tests": "test",
  "ctypes/test": "test",
  "sqlite3/test": "test",
};
const FILES: [RegExp, OptionalPart | undefined][] = [
  [/^turtle\.py$/, "tkinter"],
  [/^(?:site|user)customize\.py$/, undefined],
  [/(?:^|\/)EXTERNALLY-MANAGED$/, undefined],
  [/\.(?:a|o|pyc|pdb|lib)$/, undefined],
];
/** Extension modules, by their names. */
const MODULES: [RegExp, OptionalPart | undefined][] = [
  [/^_tkinter\./, "tkinter"],
  [/^(?:tcl|tk)\d\w*\.dll$/, "tkinter"],
  [/^(?:_test|_ctypes_test|_xxtestfuzz|xxlimited)/, "test"],
  [/^nis\./, undefined],
  [/\.(?:pdb|lib)$/, undefined],
];

/** Whether a folder of the standard library stays behind. */
export function isLeftFolder(path: string, include: readonly OptionalPart[]): boolean {
  if (/(?:^|\/)__pycache__$/.test(path) || /^config-[^/]*$/.test(path)) return true;
  return Object.hasOwn(FOLDERS, path) && !isWanted(FOLDERS[path], include);
}

/** Whether a file of the standard library stays behind. */
export function isLeftFile(path: string, include: readonly OptionalPart[]): boolean {
  const name = path.replace(/^lib-dynload\//, "");
  if (name !== path && isLeftModule(name, include)) return true;
  return FILES.some(([pattern, part]) => pattern.test(path) && !isWanted(part, include));
}

/** Whether an extension module, or a library beside such modules, stays behind. */
export function isLeftModule(name: string, include: readonly OptionalPart[]): boolean {
  return MODULES.some(([pattern, part]) => pattern.test(name) && !isWanted(part, include));
}

/** IDLE is made with tkinter. */
function isWanted(part: OptionalPart | undefined, include: readonly OptionalPart[]): boolean {
  if (part === undefined) return false;
  return include.includes(part) || (part === "tkinter" && include.includes("idlelib"));
}
