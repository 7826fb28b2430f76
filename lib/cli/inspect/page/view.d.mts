/** Imported as text: it runs in a browser. */
declare const text: string;
export default text;
