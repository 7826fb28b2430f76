/** The package has no types of its own; it takes what `node:child_process` takes. */
declare module "cross-spawn" {
  const spawn: typeof import("node:child_process").spawn;
  export default spawn;
}
