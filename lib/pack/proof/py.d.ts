declare module "*.py" {
  /** The text of the program. */
  const text: string;
  export default text;
}
