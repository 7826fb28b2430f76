import * as v from "valibot";

import { command } from "../command.ts";
import { completionScript, SHELLS } from "../completion.ts";

export default command({
  name: "completions",
  description:
    "Evaluate the script in the start file of your shell, or put it where the shell looks for completions.",
  args: {
    shell: { type: "positional", description: `One of ${SHELLS.join(", ")}`, options: SHELLS },
  },
  examples: [
    ["sealift completions bash", "Print the script for bash"],
    ["sealift completions zsh", "Print the script for zsh"],
  ],
  data: v.strictObject({ shell: v.picklist(SHELLS), script: v.string() }),
  run: async (_context, args) => ({
    shell: args.shell,
    script: await completionScript(args.shell),
  }),
  render: (data) => data.script,
});
