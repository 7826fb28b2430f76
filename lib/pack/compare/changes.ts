/** Two maps, or two lists, as what was added, removed and changed. */

/** `from` is absent for what was added, `to` for what was removed. */
export interface Change<T = string> {
  name: string;
  from?: T;
  to?: T;
}

/** Sorted by name. What `same` takes for equal is left out; default: `===`. */
export function changesOf<T>(
  from: ReadonlyMap<string, T>,
  to: ReadonlyMap<string, T>,
  same: (a: T, b: T) => boolean = (a, b) => a === b,
): Change<T>[] {
  const names = [...new Set([...from.keys(), ...to.keys()])].sort();
  return names.flatMap((name) => {
    const [a, b] = [from.get(name), to.get(name)];
    if (a !== undefined && b !== undefined && same(a, b)) return [];
    return [{ name, ...(a !== undefined && { from: a }), ...(b !== undefined && { to: b }) }];
  });
}
