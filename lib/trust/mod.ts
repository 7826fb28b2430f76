/** Keys, signatures and who is trusted: the face of the room. */
export { type Envelope, openEnvelope, signEnvelope } from "./dsse.ts";
export {
  isUsableKey,
  keyFingerprint,
  type Signer,
  signerFromSeed,
  signerFromSeedBytes,
  verifyEd25519,
} from "./ed25519.ts";
export {
  generateKeyPair,
  type KeyPair,
  keyPairBeside,
  keyPairPaths,
  type KeyPairPaths,
  publicKeyPem,
  refuseExistingPair,
  writeKeyFiles,
  writeKeyPair,
} from "./keypair.ts";
export { loadPublicKey, loadSigner, type LoadOptions, parsePublicKey } from "./keys.ts";
export { passphraseFrom, type PassphraseSource } from "./passphrase.ts";
export {
  judge,
  namedTrustFolder,
  type Judgement,
  openTrustStore,
  type Pin,
  readStore,
  type StoredKey,
  type StoreFolder,
  systemTrustFolder,
  type TrustStore,
  userTrustFolder,
} from "./store.ts";
export {
  type Added,
  type EditOptions,
  matchKeys,
  pinAdd,
  pinRemove,
  safeKeyName,
  trustAdd,
  trustRemove,
  trustRevoke,
} from "./edit.ts";
