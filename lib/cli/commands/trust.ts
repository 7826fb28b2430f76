/** `trust …`: the keys that packages may be signed with. */
import * as v from "valibot";

import {
  keyFingerprint,
  matchKeys,
  openTrustStore,
  pinAdd,
  pinRemove,
  readStore,
  safeKeyName,
  trustAdd,
  trustRemove,
  trustRevoke,
} from "../../trust/mod.ts";
import { command } from "../command.ts";
import { folderOf, readKeys, resolveKey, storeArgs } from "../store.ts";
import { printable } from "../view.ts";

const KEY = "A key file, hex, ssh-ed25519 text, or the name of a key in the store";

/** "removed", or "would be removed" after a dry run. */
function verb(data: { dry_run: boolean }, word: string): string {
  return data.dry_run ? `would be ${word}` : word;
}

const Key = v.strictObject({ name: v.string(), fingerprint: v.string(), path: v.string() });

export const list = command({
  name: "trust list",
  description:
    "The store is the first of SEALIFT_TRUST_DIR, yours and the machine's that holds anything. Where there is none, every valid signature is accepted.",
  args: storeArgs,
  examples: [
    ["sealift trust list", "Who is trusted here"],
    ["sealift trust list --json", "The same for a program"],
  ],
  data: v.strictObject({
    /** Absent when there is no store. */
    store: v.optional(v.string()),
    keys: v.array(Key),
    revoked: v.array(Key),
    pins: v.array(v.strictObject({ package: v.string(), fingerprint: v.string() })),
  }),
  async run(context, args) {
    const named = args.trust !== undefined || args.system ? folderOf(context, args) : undefined;
    const store = await openTrustStore({ dir: named, env: context.env });
    const rows = (keys: { name: string; path: string; publicKey: Uint8Array }[]) =>
      keys.map(({ name, path, publicKey }) => ({
        name,
        path,
        fingerprint: keyFingerprint(publicKey),
      }));
    return {
      ...(store && { store: store.dir }),
      keys: rows(store?.keys ?? []),
      revoked: rows(store?.revoked ?? []),
      pins: (store?.pins ?? []).map((pin) => ({
        package: pin.package,
        fingerprint: keyFingerprint(pin.publicKey),
      })),
    };
  },
  render: (data, view) => {
    if (data.store === undefined) return "No trust store: any valid signature is accepted";
    const rows = [
      ...data.keys.map((key) => [
        view.style.green("trusted"),
        printable(key.name),
        key.fingerprint,
      ]),
      ...data.revoked.map((key) => [
        view.style.red("revoked"),
        printable(key.name),
        key.fingerprint,
      ]),
      ...data.pins.map((pin) => ["pinned", printable(pin.package), pin.fingerprint]),
    ];
    const head = `Trust store ${printable(data.store)}`;
    return rows.length === 0 ? `${head}: it trusts nobody` : `${head}\n${view.table(rows)}`;
  },
});

export const add = command({
  name: "trust add",
  description:
    "Takes a .pub file, an OpenSSH public key, hex, or a package: then its signers are shown and asked about.",
  args: {
    key: {
      type: "positional",
      valueHint: "KEY",
      description: "A key, or a package signed with it",
    },
    name: { type: "string", valueHint: "NAME", description: "Name in the store" },
    ...storeArgs,
  },
  examples: [
    ["sealift trust add release.pub --name acme", "Trust a publisher's key"],
    ["sealift trust add app.psp --yes", "Trust who signed this package"],
  ],
  data: v.strictObject({
    store: v.string(),
    keys: v.array(v.strictObject({ ...Key.entries, added: v.boolean() })),
    /** The store decided nothing before. */
    first: v.boolean(),
    dry_run: v.boolean(),
  }),
  async run(context, args) {
    const store = folderOf(context, args);
    const { name, publicKeys, fromPackage } = await readKeys(args.key);
    const { present } = await readStore(store, { absentIsEmpty: true });
    const keys = [];
    for (const [i, publicKey] of publicKeys.entries()) {
      const fingerprint = keyFingerprint(publicKey);
      if (fromPackage && !context.dryRun) {
        const agreed = await context.confirm(`Trust ${fingerprint}, which signed ${args.key}?`);
        if (!agreed) continue;
      }
      const own = `${args.name ?? name}${i === 0 ? "" : `-${i + 1}`}`;
      const added = await trustAdd(store, own, publicKey, { dryRun: context.dryRun });
      keys.push({ ...added, fingerprint });
    }
    const first = !present && keys.some(({ added }) => added);
    return { store, keys, first, dry_run: context.dryRun };
  },
  render: (data, view) =>
    [
      ...data.keys.map(
        (key) =>
          `${key.added ? view.style.green(verb(data, "trusted")) : "trusted already"}  ${printable(key.name)}  ${key.fingerprint}`,
      ),
      data.keys.length === 0 ? "Nothing was added" : `Trust store ${printable(data.store)}`,
      ...(data.first && !data.dry_run
        ? ["From now on only packages signed by a key of this store are accepted."]
        : []),
    ].join("\n"),
});

export const remove = command({
  name: "trust remove",
  args: {
    key: { type: "positional", valueHint: "KEY", description: KEY },
    revoked: { type: "boolean", description: "Take back a revocation instead" },
    ...storeArgs,
  },
  examples: [
    ["sealift trust remove acme --yes", "Stop trusting a key"],
    ["sealift trust remove acme --revoked --yes", "Take back a revocation"],
  ],
  data: v.strictObject({
    store: v.string(),
    removed: v.array(Key),
    /** Nothing is left: other stores, or no store, decide from now on. */
    empty: v.boolean(),
    dry_run: v.boolean(),
  }),
  async run(context, args) {
    const store = folderOf(context, args);
    const { publicKey } = await resolveKey(store, args.key, { revoked: args.revoked });
    const fingerprint = keyFingerprint(publicKey);
    const what = args.revoked ? "the revocation of " : "";
    const question = `Remove ${what}${fingerprint} from ${store}?`;
    const go = context.dryRun || (await context.confirm(question));
    const options = { revoked: args.revoked, dryRun: context.dryRun };
    const keys = go ? await trustRemove(store, fingerprint, options) : [];
    const { present } = await readStore(store, { absentIsEmpty: true });
    return {
      store,
      removed: keys.map(({ name, path }) => ({ name, path, fingerprint })),
      empty: !present,
      dry_run: context.dryRun,
    };
  },
  render: (data) =>
    [
      data.removed.length === 0 ? "Nothing was removed" : "",
      ...data.removed.map(
        (key) => `${verb(data, "removed")}  ${printable(key.name)}  ${key.fingerprint}`,
      ),
      data.empty
        ? "The store is empty now. Unless SEALIFT_TRUST_DIR names it, it no longer decides."
        : "",
    ]
      .filter((line) => line !== "")
      .join("\n"),
});

export const revoke = command({
  name: "trust revoke",
  description: "Packages signed with a revoked key are refused, whoever else signed them.",
  args: {
    key: { type: "positional", valueHint: "KEY", description: KEY },
    name: { type: "string", valueHint: "NAME", description: "Name in the store" },
    ...storeArgs,
  },
  examples: [
    ["sealift trust revoke acme", "Refuse a key from now on"],
    [
      "sealift trust revoke stolen.pub --yes",
      "A key that was never in the store, without being asked",
    ],
  ],
  data: v.strictObject({
    store: v.string(),
    ...Key.entries,
    /** False when it was revoked already. */
    revoked: v.boolean(),
    /** Names under which it was trusted. */
    removed: v.array(v.string()),
    dry_run: v.boolean(),
  }),
  async run(context, args) {
    const store = folderOf(context, args);
    const { name, publicKey } = await resolveKey(store, args.key);
    const fingerprint = keyFingerprint(publicKey);
    const own = args.name ?? safeKeyName(name);
    const done = await trustRevoke(store, own, publicKey, { dryRun: context.dryRun });
    return {
      store,
      name: done.name,
      fingerprint,
      path: done.path,
      revoked: done.added,
      removed: done.removed.map((key) => key.name),
      dry_run: context.dryRun,
    };
  },
  render: (data, view) =>
    `${data.revoked ? view.style.red(verb(data, "revoked")) : "revoked already"}  ${printable(data.name)}  ${data.fingerprint}`,
});

const PinData = v.strictObject({
  store: v.string(),
  package: v.string(),
  fingerprints: v.array(v.string()),
  changed: v.boolean(),
  dry_run: v.boolean(),
});

export const pin = command({
  name: "trust pin",
  description:
    "A pinned package must be signed by one of its pinned keys, beside being trusted. Pin a second key to allow either.",
  args: {
    package: { type: "positional", valueHint: "PACKAGE", description: "Name of a package" },
    key: { type: "positional", valueHint: "KEY", description: KEY },
    ...storeArgs,
  },
  examples: [
    ["sealift trust pin report acme", "Only acme may sign report"],
    ["sealift trust pin report release.pub", "The same with a key file"],
  ],
  data: PinData,
  async run(context, args) {
    const store = folderOf(context, args);
    const { publicKey } = await resolveKey(store, args.key);
    const dryRun = context.dryRun;
    const changed = await pinAdd(store, args.package, publicKey, { dryRun });
    const { keys } = await readStore(store, { absentIsEmpty: true });
    const fingerprint = keyFingerprint(publicKey);
    if (matchKeys(keys, fingerprint).length === 0) {
      context.warn(`${fingerprint} is not trusted yet: add it with \`sealift trust add\``);
    }
    return { store, package: args.package, fingerprints: [fingerprint], changed, dry_run: dryRun };
  },
  render: (data) =>
    `${data.changed ? verb(data, "pinned") : "pinned already"}  ${printable(data.package)}  ${data.fingerprints.join(" ")}`,
});

export const unpin = command({
  name: "trust unpin",
  args: {
    package: { type: "positional", valueHint: "PACKAGE", description: "Name of a package" },
    key: { type: "positional", required: false, valueHint: "KEY", description: "Only this key" },
    ...storeArgs,
  },
  examples: [
    ["sealift trust unpin report --yes", "Remove every pin of a package"],
    ["sealift trust unpin report old.pub --yes", "Remove one of them"],
  ],
  data: PinData,
  async run(context, args) {
    const store = folderOf(context, args);
    const key = args.key === undefined ? undefined : (await resolveKey(store, args.key)).publicKey;
    const question = `Remove the pins of ${args.package} from ${store}?`;
    const { dryRun } = context;
    const go = dryRun || (await context.confirm(question));
    const removed = go ? await pinRemove(store, args.package, key, { dryRun }) : [];
    return {
      store,
      package: args.package,
      fingerprints: removed.map(keyFingerprint),
      changed: removed.length > 0,
      dry_run: dryRun,
    };
  },
  render: (data) =>
    `${data.changed ? verb(data, "unpinned") : "not changed"}  ${printable(data.package)}  ${data.fingerprints.join(" ")}`,
});
