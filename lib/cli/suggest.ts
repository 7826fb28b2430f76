/** See `lib/base/suggest.ts`: manifests need it too. */
export { suggest } from "../base/suggest.ts";
