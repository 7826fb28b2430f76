/**
 * The Burrows–Wheeler transform of bzip2, in linear time whatever the data: suffixes are sorted by induced sorting
 * (Nong, Zhang, Chan: "Two Efficient Algorithms for Linear Time Suffix Array Construction", 2011).
 */

export interface Transformed {
  /** The last column of the sorted rotations. */
  last: Uint8Array;
  /** The row that holds the block itself. */
  origin: number;
}

/**
 * Sorts the rotations of a block of at least one byte. Rotated to its least rotation first, the block's suffixes are in the
 * order of its rotations, so half the work of sorting the doubled block is enough.
 */
export function burrowsWheeler(block: Uint8Array): Transformed {
  const n = block.length;
  const start = leastRotation(block);
  const rotated = new Uint8Array(n);
  rotated.set(block.subarray(start));
  rotated.set(block.subarray(0, start), n - start);
  const order = suffixArray(rotated, 255);
  const last = new Uint8Array(n);
  const self = (n - start) % n;
  let origin = 0;
  for (let row = 0; row < n; row++) {
    const at = order[row] as number;
    last[row] = rotated[at === 0 ? n - 1 : at - 1] as number;
    if (at === self) origin = row;
  }
  return { last, origin };
}

/** Where the least of all rotations begins. */
function leastRotation(s: Uint8Array): number {
  const n = s.length;
  let i = 0;
  let j = 1;
  let k = 0;
  while (i < n && j < n && k < n) {
    const a = s[i + k < n ? i + k : i + k - n] as number;
    const b = s[j + k < n ? j + k : j + k - n] as number;
    if (a === b) {
      k++;
      continue;
    }
    if (a > b) i += k + 1;
    else j += k + 1;
    if (i === j) j++;
    k = 0;
  }
  return Math.min(i, j);
}

type Text = Uint8Array | Int32Array;

/** Start positions of the suffixes of `s` in ascending order; every symbol is at most `upper`. */
export function suffixArray(s: Text, upper: number): Int32Array {
  const n = s.length;
  if (n === 0) return new Int32Array(0);
  const { smaller, starts } = classify(s);
  const buckets = countBuckets(s, smaller, upper);
  const sa = new Int32Array(n);
  induce(s, sa, smaller, buckets, starts);
  if (starts.length > 0) induce(s, sa, smaller, buckets, sortStarts(s, sa, starts));
  return sa;
}

/** Which suffixes are smaller than their right neighbour (type S), and the leftmost of each run of them. */
function classify(s: Text): { smaller: Uint8Array; starts: Int32Array } {
  const n = s.length;
  const smaller = new Uint8Array(n);
  let count = 0;
  for (let i = n - 2; i >= 0; i--) {
    const a = s[i] as number;
    const b = s[i + 1] as number;
    smaller[i] = a === b ? (smaller[i + 1] as number) : Number(a < b);
    if (smaller[i + 1] === 1 && smaller[i] === 0) count++;
  }
  const starts = new Int32Array(count);
  for (let i = 1, m = 0; i < n; i++) {
    if (smaller[i - 1] === 0 && smaller[i] === 1) starts[m++] = i;
  }
  return { smaller, starts };
}

interface Buckets {
  /** Where the suffixes of type L of a symbol begin, and those of type S. */
  large: Int32Array;
  small: Int32Array;
}

function countBuckets(s: Text, smaller: Uint8Array, upper: number): Buckets {
  const large = new Int32Array(upper + 2);
  const small = new Int32Array(upper + 2);
  for (let i = 0; i < s.length; i++) {
    const symbol = s[i] as number;
    if (smaller[i] === 0) (small[symbol] as number)++;
    else (large[symbol + 1] as number)++;
  }
  for (let symbol = 0; symbol <= upper; symbol++) {
    small[symbol] = (small[symbol] as number) + (large[symbol] as number);
    large[symbol + 1] = (large[symbol + 1] as number) + (small[symbol] as number);
  }
  return { large, small };
}

/** From the sorted starts of S runs, puts first all suffixes of type L, then all of type S in their places. */
function induce(
  s: Text,
  sa: Int32Array,
  smaller: Uint8Array,
  buckets: Buckets,
  starts: Int32Array,
): void {
  const n = s.length;
  sa.fill(-1);
  const small = buckets.small.slice();
  for (const start of starts) append(sa, small, s[start] as number, start);
  const large = buckets.large.slice();
  append(sa, large, s[n - 1] as number, n - 1);
  for (let i = 0; i < n; i++) {
    const at = (sa[i] as number) - 1;
    if (at >= 0 && smaller[at] === 0) append(sa, large, s[at] as number, at);
  }
  large.set(buckets.large);
  for (let i = n - 1; i >= 0; i--) {
    const at = (sa[i] as number) - 1;
    if (at < 0 || smaller[at] === 0) continue;
    // Bucket ends are the starts of the next symbol's; they are filled backwards.
    const next = (s[at] as number) + 1;
    large[next] = (large[next] as number) - 1;
    sa[large[next]] = at;
  }
}

function append(sa: Int32Array, next: Int32Array, symbol: number, at: number): void {
  const slot = next[symbol] as number;
  sa[slot] = at;
  next[symbol] = slot + 1;
}

/** The starts in the order of their suffixes: names for the pieces between them, sorted by the same algorithm. */
function sortStarts(s: Text, sa: Int32Array, starts: Int32Array): Int32Array {
  const index = new Int32Array(s.length).fill(-1);
  for (let i = 0; i < starts.length; i++) index[starts[i] as number] = i;
  const names = new Int32Array(starts.length);
  let name = -1;
  let previous = -1;
  for (const at of sa) {
    if (index[at] === -1) continue;
    if (previous === -1 || !samePiece(s, starts, index, previous, at)) name++;
    names[index[at] as number] = name;
    previous = at;
  }
  const order = suffixArray(names, name);
  return order.map((i) => starts[i] as number);
}

function samePiece(s: Text, starts: Int32Array, index: Int32Array, a: number, b: number): boolean {
  const n = s.length;
  const endA = starts[(index[a] as number) + 1] ?? n;
  const endB = starts[(index[b] as number) + 1] ?? n;
  if (endA - a !== endB - b || endA === n || endB === n) return false;
  for (let i = 0; a + i <= endA; i++) if (s[a + i] !== s[b + i]) return false;
  return true;
}
