/** The version of sealift: baked in by `scripts/build.ts`, else that of the manifest. */
import manifest from "../../package.json";

declare const VERSION: string;

export const version: string = typeof VERSION === "string" ? VERSION : manifest.version;
