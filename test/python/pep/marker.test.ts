import { describe, expect, test } from "bun:test";

import fc from "fast-check";

import { evaluateMarker, markerEnvironment } from "../../../lib/python/pep/marker.ts";
import { codeOf } from "../fixture.ts";

const linux = {
  ...markerEnvironment({ version: "3.11.7", minor: [3, 11], platform: "linux", machine: "x86_64" }),
  extras: ["socks"],
  dependency_groups: ["dev"],
};
const holds = (marker: string) => evaluateMarker(marker, linux, "lock");

describe("evaluateMarker()", () => {
  test.each([
    ["python_version >= '3.8'", true],
    ["python_version < '3.9'", false],
    // As text, "3.11" would be less than "3.9".
    ["python_version > '3.9'", true],
    ["'3.9' < python_version", true],
    ["python_full_version == '3.11.*'", true],
    ["python_full_version ~= '3.11.2'", true],
    ["python_version not in '3.9 3.10'", true],
    ["sys_platform == 'linux' and platform_machine != 'aarch64'", true],
    ["sys_platform == 'win32' or os_name == 'posix'", true],
    ["sys_platform == 'win32' or sys_platform == 'darwin' and os_name == 'posix'", false],
    [
      "(sys_platform == 'win32' or sys_platform == 'linux') and implementation_name == 'cpython'",
      true,
    ],
    ["'linux' in sys_platform", true],
    ['platform_system == "Linux"', true],
    ["os.name == 'posix'", true],
    ["extra == 'socks'", true],
    ["extra == 'other'", false],
    ["'socks' in extras and 'dev' in dependency_groups", true],
    ["'docs' not in dependency_groups", true],
  ])("%s is %p", (marker, expected) => {
    expect(holds(marker)).toBe(expected);
  });

  test.each([
    "",
    "python_version",
    "python_version >=",
    "python_version >= 3.8",
    "foo == 'x'",
    "python_version >= '3' and",
    "(os_name == 'nt'",
    "os_name == 'nt')",
    "os_name = 'nt'",
    "os_name == 'nt' xor os_name == 'nt'",
    "'a' in extras in extras",
    "constructor == 'x'",
    "extras == os_name",
    "os_name ~= 'x'",
    "(".repeat(100) + "os_name == 'nt'" + ")".repeat(100),
    "os_name == '" + "x".repeat(9000) + "'",
  ])("refuses %p", async (marker) => {
    expect(await codeOf(() => holds(marker))).toBe("MARKER");
  });

  test("any text: true, false or a typed error", () => {
    const word = fc.constantFrom(
      "os_name",
      "extra",
      "python_version",
      "'3.9'",
      "'x'",
      "(",
      ")",
      "and",
      "or",
      "in",
      "not",
      "==",
      "<",
      "~=",
      " ",
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), (words) => {
        try {
          expect(typeof holds(words.join(" "))).toBe("boolean");
        } catch (error) {
          expect((error as { code?: string }).code).toBe("MARKER");
        }
      }),
    );
  });
});
