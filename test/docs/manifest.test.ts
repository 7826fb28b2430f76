/** The manifest's reference page names every key that the schema knows. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { toJsonSchema } from "@valibot/to-json-schema";

import { SealiftManifest } from "../../lib/pack/manifest/schema.ts";
import { pyprojectShape } from "../../lib/pack/mod.ts";

const page = readFileSync(join(import.meta.dir, "../../docs/reference/sealift-toml.md"), "utf8");

test("every key of sealift.toml stands in its reference", () => {
  const missing = [...keysOf(toJsonSchema(SealiftManifest, { errorMode: "ignore" }))].filter(
    (key) => !page.includes(key),
  );
  expect(missing).toEqual([]);
});

test("every Python key too", async () => {
  const schema = toJsonSchema(await pyprojectShape(), { errorMode: "ignore" });
  const words = new Set(page.match(/[a-z][a-z0-9_]*/g));
  expect([...keysOf(schema)].filter((key) => !words.has(key))).toEqual([]);
});

function* keysOf(schema: unknown): Generator<string> {
  if (typeof schema !== "object" || schema === null) return;
  for (const [name, value] of Object.entries(schema)) {
    if (name === "properties") yield* Object.keys(value as object);
    yield* keysOf(value);
  }
}
