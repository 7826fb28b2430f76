/** Against Python itself. */
import { expect, test } from "bun:test";

import fc from "fast-check";

import { findProgram, run } from "../../../lib/base/mod.ts";
import { pythonJson } from "../../../lib/python/lock/python-json.ts";

const PROGRAM =
  "import json,sys\nfor line in sys.stdin:\n  v=json.loads(line)\n  print(json.dumps(v,sort_keys=True)); print(json.dumps(v,sort_keys=True,separators=(',',':')))";
const python = findProgram("python3", process.env);

test("a text as TOML holds it", () => {
  expect(pythonJson({ b: [1, true, null], a: 'ü"\n\u007f' })).toBe(
    '{"a": "\\u00fc\\"\\n\\u007f", "b": [1, true, null]}',
  );
  expect(pythonJson({ "\u{1f600}": 1, "\uff00": [] }, true)).toBe(
    '{"\\uff00":[],"\\ud83d\\ude00":1}',
  );
});

test.skipIf(python === undefined)(
  "the same as Python's json (skipped without Python)",
  async () => {
    const keys = fc.dictionary(
      fc.string({ unit: "grapheme" }),
      fc.oneof(fc.integer(), fc.string({ unit: "grapheme" }), fc.boolean()),
    );
    const samples = fc.sample(fc.oneof(keys, fc.array(keys)), 200);
    const { stdout, code } = await run([python ?? "", "-c", PROGRAM], {
      input: samples.map((sample) => `${JSON.stringify(sample)}\n`).join(""),
      env: { ...process.env, PYTHONIOENCODING: "utf-8" },
    });
    expect(code).toBe(0);
    const expected = new TextDecoder().decode(stdout).trimEnd().split("\n");
    expect(samples.flatMap((sample) => [pythonJson(sample), pythonJson(sample, true)])).toEqual(
      expected,
    );
  },
);
