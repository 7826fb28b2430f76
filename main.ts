#!/usr/bin/env bun
/** The front door of sealift. Everything that takes time to load is behind the command that needs it. */
import { main } from "./lib/cli/mod.ts";

await main(process.argv.slice(2));
