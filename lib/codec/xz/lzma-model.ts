/**
 * What the LZMA encoder and decoder share: where each adaptive probability stands in one array, and the twelve states
 * (LZMA specification by Igor Pavlov). Fixed to the parameters of every xz preset: lc 3, lp 0, pb 2 in the encoder; the
 * decoder takes any.
 */
export const STATES = 12;
export const POSITION_STATES = 16;
export const PROBABILITY_BITS = 11;
export const INITIAL = 1 << (PROBABILITY_BITS - 1);

export const MIN_MATCH = 2;
export const MAX_MATCH = 273;

/** Length coder: choice, choice2, low and mid trees per position state, high tree. */
export const LENGTH_LOW = 2;
export const LENGTH_MID = LENGTH_LOW + POSITION_STATES * 8;
export const LENGTH_HIGH = LENGTH_MID + POSITION_STATES * 8;
const LENGTH_SIZE = LENGTH_HIGH + 256;

export const IS_MATCH = 0;
export const IS_REP = IS_MATCH + STATES * POSITION_STATES;
export const IS_REP_0 = IS_REP + STATES;
export const IS_REP_1 = IS_REP_0 + STATES;
export const IS_REP_2 = IS_REP_1 + STATES;
export const IS_REP_0_LONG = IS_REP_2 + STATES;
export const SLOT = IS_REP_0_LONG + STATES * POSITION_STATES;
/** Middle bits of the distances of slots 4 to 13; a slot's tree begins at SPECIAL + base - slot. */
export const SPECIAL = SLOT + 4 * 64;
export const ALIGN = SPECIAL + 128;
export const MATCH_LENGTH = ALIGN + 16;
export const REP_LENGTH = MATCH_LENGTH + LENGTH_SIZE;
export const LITERAL = REP_LENGTH + LENGTH_SIZE;
export const LITERAL_SIZE = 0x300;

export const FIRST_MODEL_SLOT = 4;
export const END_MODEL_SLOT = 14;

/** An array for literals of `lc + lp` context bits. */
export function newProbabilities(literalBits: number): Uint16Array {
  return new Uint16Array(LITERAL + (LITERAL_SIZE << literalBits)).fill(INITIAL);
}

export function afterLiteral(state: number): number {
  if (state < 4) return 0;
  return state < 10 ? state - 3 : state - 6;
}
export function afterMatch(state: number): number {
  return state < 7 ? 7 : 10;
}
export function afterRep(state: number): number {
  return state < 7 ? 8 : 11;
}
export function afterShortRep(state: number): number {
  return state < 7 ? 9 : 11;
}

/** Which of the four slot trees a match of this length uses. */
export function lengthContext(length: number): number {
  return Math.min(length - MIN_MATCH, 3);
}
