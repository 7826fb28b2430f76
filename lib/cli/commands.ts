/**
 * The commands by name. A row costs nothing until it is used: `--help` and suggestions read only the summaries,
 * and the file of a command is loaded when it runs. A summary is one sentence without a full stop.
 */
import type { Command } from "./command.ts";

/** A file with the command as default export, or the command itself (`import(…).then((m) => m.add)`). */
type Load = () => Promise<{ default: Command } | Command>;

export interface Leaf {
  summary: string;
  alias?: readonly string[];
  load: Load;
}

/** A noun with several verbs. */
export interface Noun {
  summary: string;
  alias?: readonly string[];
  verbs: Readonly<Record<string, Leaf>>;
}

export type CommandTable = Readonly<Record<string, Leaf | Noun>>;

export const commands: CommandTable = {
  pack: {
    summary: "Pack a project into one signed file",
    load: () => import("./commands/pack.ts"),
  },
  run: {
    summary: "Verify a package and start it",
    load: () => import("./commands/run.ts"),
  },
  verify: {
    summary: "Check every byte of a package",
    load: () => import("./commands/verify.ts"),
  },
  inspect: {
    summary: "Show what is inside a package",
    load: () => import("./commands/inspect.ts"),
  },
  extract: {
    summary: "Take one slot out of a package",
    load: () => import("./commands/extract.ts"),
  },
  "extract-all": {
    summary: "Take every slot out of a package",
    load: () => import("./commands/extract-all.ts"),
  },
  diff: {
    summary: "Say what changed between two packages",
    load: () => import("./commands/diff.ts"),
  },
  delta: {
    summary: "The update from one package to the next, as a small file",
    verbs: {
      create: {
        summary: "Write what makes the new package from the old one",
        load: () => import("./commands/delta.ts").then((m) => m.create),
      },
      apply: {
        summary: "Make the new package from the old one, byte for byte",
        load: () => import("./commands/delta.ts").then((m) => m.apply),
      },
      inspect: {
        summary: "Show which packages a delta is between and what it holds",
        load: () => import("./commands/delta.ts").then((m) => m.inspect),
      },
    },
  },
  init: {
    summary: "Write a manifest for a folder",
    load: () => import("./commands/init.ts"),
  },
  demo: {
    summary: "Unpack a small project, pack it and run it",
    load: () => import("./commands/demo.ts"),
  },
  keygen: {
    summary: "Make a key pair to sign packages with",
    load: () => import("./commands/keygen.ts"),
  },
  sign: {
    summary: "Sign a package again, or add a co-signature",
    load: () => import("./commands/sign.ts"),
  },
  trust: {
    summary: "The keys that packages may be signed with",
    verbs: {
      list: {
        summary: "Show who is trusted",
        load: () => import("./commands/trust.ts").then((m) => m.list),
      },
      add: {
        summary: "Trust a key",
        load: () => import("./commands/trust.ts").then((m) => m.add),
      },
      remove: {
        summary: "Stop trusting a key",
        load: () => import("./commands/trust.ts").then((m) => m.remove),
      },
      revoke: {
        summary: "Refuse a key, whoever trusts it",
        load: () => import("./commands/trust.ts").then((m) => m.revoke),
      },
      pin: {
        summary: "Say which keys may sign a package",
        load: () => import("./commands/trust.ts").then((m) => m.pin),
      },
      unpin: {
        summary: "Remove the pins of a package",
        load: () => import("./commands/trust.ts").then((m) => m.unpin),
      },
    },
  },
  workenv: {
    summary: "The work environments that packages make on their first start",
    verbs: {
      list: {
        summary: "List the work environments",
        load: () => import("./commands/workenv.ts").then((m) => m.list),
      },
      info: {
        summary: "Say where the cache is and how large",
        load: () => import("./commands/workenv.ts").then((m) => m.info),
      },
      inspect: {
        summary: "Show one work environment",
        load: () => import("./commands/workenv.ts").then((m) => m.inspect),
      },
      verify: {
        summary: "Compare work environments with what was extracted",
        load: () => import("./commands/workenv.ts").then((m) => m.verify),
      },
      remove: {
        summary: "Remove a work environment",
        load: () => import("./commands/workenv.ts").then((m) => m.remove),
      },
      clean: {
        summary: "Remove what is of no use",
        load: () => import("./commands/workenv-clean.ts"),
      },
    },
  },
  clean: {
    summary: "Empty the cache of what is of no use, or of everything",
    load: () => import("./commands/clean.ts"),
  },
  doctor: {
    summary: "Check this machine, and say how to repair what is wrong",
    load: () => import("./commands/doctor.ts"),
  },
  launchers: {
    summary: "The launchers inside this program",
    alias: ["helpers"],
    verbs: {
      list: {
        summary: "List the launchers",
        load: () => import("./commands/launchers.ts").then((m) => m.list),
      },
      info: {
        summary: "Say where a launcher comes from",
        load: () => import("./commands/launchers.ts").then((m) => m.info),
      },
      test: {
        summary: "Run the conformance cases on this machine",
        load: () => import("./commands/launchers.ts").then((m) => m.test),
      },
      build: {
        summary: "Build launchers from source and compare",
        load: () => import("./commands/launchers.ts").then((m) => m.build),
      },
      clean: {
        summary: "Remove launchers from the cache",
        load: () => import("./commands/launchers.ts").then((m) => m.clean),
      },
    },
  },
  schema: {
    summary: "Print the JSON Schema of what a command answers, or list the schemas",
    load: () => import("./commands/schema.ts"),
  },
  completions: {
    summary: "Print the completion script for a shell",
    load: () => import("./commands/completions.ts"),
  },
};

export function isNoun(row: Leaf | Noun): row is Noun {
  return "verbs" in row;
}

/** The command behind a row. */
export async function load(leaf: Leaf): Promise<Command> {
  const loaded = await leaf.load();
  return "default" in loaded ? loaded.default : loaded;
}
