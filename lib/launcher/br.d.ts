declare module "*.br" {
  /** Path of the embedded file. */
  const path: string;
  export default path;
}
