/** The files of the demos. Small on purpose: each shows one thing that `sealift.toml` can say. */

export interface DemoFiles {
  summary: string;
  /** Path → text; a program's mode is in the manifest. */
  files: Record<string, string>;
  /** Arguments of the run that shows it. */
  args: string[];
  /** What the demo's program needs here and brings along or finds on the target. */
  runtime?: "node";
}

const helloWorld: DemoFiles = {
  summary: "a shell script with a data file",
  args: ["sealift"],
  files: {
    "sealift.toml": `[package]
name = "hello-world"
version = "1.0.0"
description = "A shell script with a data file"

[execution]
argv = ["/bin/sh", "{workenv}/bin/hello.sh"]

[[slots]]
id = "script"
source = "hello.sh"
target = "bin/hello.sh"
permissions = "0755"

[[slots]]
id = "greetings"
source = "greetings/"
target = "share/greetings"
`,
    "hello.sh": `#!/bin/sh
# SEALIFT_WORKENV is where the launcher put the files of the package.
printf '%s %s!\\n' "$(cat "$SEALIFT_WORKENV/share/greetings/en.txt")" "\${1:-world}"
`,
    "greetings/en.txt": "Hello,",
    "greetings/de.txt": "Hallo,",
  },
};

const cliTool: DemoFiles = {
  summary: "several commands, settings that survive upgrades, and a setup step",
  args: ["list"],
  files: {
    "sealift.toml": `[package]
name = "notes"
version = "1.0.0"
description = "A tool with several commands"

[execution]
argv = ["/bin/sh", "{workenv}/bin/notes.sh"]
[execution.entries]  # start them with SEALIFT_ENTRY=notes-count, or by a file of that name
notes-count = ["/bin/sh", "{workenv}/bin/count.sh"]
[execution.env]
NOTES_DATA = "{workenv}/share/notes"
[execution.runtime.env]
unset = ["ENV", "BASH_ENV"]

[[slots]]
id = "commands"
source = "commands/*.sh"
target = "bin"
permissions = "0755"

[[slots]]
id = "notes"
source = "notes/"
target = "share/notes"
compression = "gzip:9"

[[setup]]  # once, at the first start
type = "write_file"
path = "{workenv}/etc/notes.conf"
content = "data={workenv}/share/notes"

[workenv]
directories = [{ path = "{workenv}/var", mode = "0700" }]
`,
    "commands/notes.sh": `#!/bin/sh
set -eu
case "\${1:-list}" in
  list) for file in "$NOTES_DATA"/*.txt; do printf '%s: %s\\n' "$(basename "$file" .txt)" "$(cat "$file")"; done ;;
  config) cat "$SEALIFT_WORKENV/etc/notes.conf" ;;
  *) echo "usage: notes [list|config]" >&2; exit 2 ;;
esac
`,
    "commands/count.sh": `#!/bin/sh
set -eu
ls "$NOTES_DATA" | wc -l | tr -d ' '
`,
    "notes/first.txt": "Packed once.",
    "notes/second.txt": "Runs everywhere.",
  },
};

const webApp: DemoFiles = {
  summary: "a web server in JavaScript, with Node as a shared slot",
  args: ["--once"],
  runtime: "node",
  files: {
    "sealift.toml": `[package]
name = "web-app"
version = "1.0.0"
description = "A web server that brings its runtime"

[execution]
argv = ["{slot:node}", "{workenv}/app/server.mjs"]
[execution.env]
PUBLIC_DIR = "{workenv}/app/public"
[execution.runtime.env]
unset = ["NODE_*"]

[[slots]]
id = "node"
source = "@RUNTIME@"
share = true          # once per machine, for every application that brings it
compression = "zstd:3"

[[slots]]
id = "app"
source = "app/"
target = "app"
`,
    "app/server.mjs": `import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";

const page = await readFile(join(process.env.PUBLIC_DIR, "index.html"));
const server = createServer((request, response) => {
  response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
  response.end(page);
});
// --once: serve one request of our own and stop.
const once = process.argv.includes("--once");
server.listen(once ? 0 : Number(process.env.PORT ?? 8080), "127.0.0.1", async () => {
  const address = \`http://127.0.0.1:\${server.address().port}/\`;
  console.log(\`listening on \${address}\`);
  if (!once) return;
  const response = await fetch(address);
  console.log(response.status, /<h1>(.*)<\\/h1>/.exec(await response.text())[1]);
  server.close();
  server.closeAllConnections();
});
`,
    "app/public/index.html": `<!doctype html>
<html lang="en">
<title>sealift</title>
<h1>Sealed, lifted, served</h1>
</html>
`,
  },
};

export const demoFiles = { "hello-world": helloWorld, "cli-tool": cliTool, "web-app": webApp };
