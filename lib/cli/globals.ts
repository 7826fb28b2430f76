/** The flags that every command takes. */
import type { Args, Values } from "./command.ts";

export const globalArgs = {
  json: { type: "boolean", description: "Print one JSON document" },
  quiet: { type: "boolean", alias: "q", description: "Print nothing but the result and errors" },
  verbose: { type: "boolean", alias: "v", description: "Say more" },
  debug: { type: "boolean", description: "Print the stack of an error" },
  offline: { type: "boolean", description: "Open no socket (or set SEALIFT_OFFLINE=1)" },
  config: { type: "string", valueHint: "FILE", description: "Read settings from this TOML file" },
  "cache-dir": {
    type: "string",
    valueHint: "DIR",
    description: "Use this cache (or set SEALIFT_CACHE)",
  },
  color: {
    type: "enum",
    options: ["auto", "always", "never"],
    default: "auto",
    description: "When to use colours; NO_COLOR turns them off",
  },
  yes: { type: "boolean", alias: "y", description: "Answer every question with yes" },
  "dry-run": { type: "boolean", description: "Change nothing, say what would be done" },
  help: { type: "boolean", alias: "h", description: "Print help" },
  version: { type: "boolean", alias: "V", description: "Print the version" },
} as const satisfies Args;

export type Globals = Values<typeof globalArgs>;
