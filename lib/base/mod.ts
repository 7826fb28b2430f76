export * from "./atomic.ts";
export * from "./errors.ts";
export * from "./io.ts";
export * from "./path.ts";
