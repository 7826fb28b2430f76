export { EXEC_ARGV } from "./hardening.ts";
export { main } from "./run.ts";
