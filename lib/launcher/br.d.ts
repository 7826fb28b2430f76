declare module "*.zst" {
  /** Path of the embedded file. */
  const path: string;
  export default path;
}
