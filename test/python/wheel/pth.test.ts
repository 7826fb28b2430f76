/** What is told about files that act at every start. */
import { expect, test } from "bun:test";
import { join } from "node:path";

import { startNotes } from "../../../lib/python/wheel/pth.ts";
import { stageWheel } from "../../../lib/python/wheel/site.ts";
import { offlineContext, scratch, writeWheel } from "../fixture.ts";

test("startNotes() says what each .pth file does", async () => {
  using folder = scratch();
  const path = writeWheel(folder.path, {
    files: {
      "a-code.pth": "# comment\r\nimport demo\r\n",
      "b-folder.pth": "extra\n\n",
      "c-outside.pth": "import demo\n/home/anna/src\n",
      "d-windows.pth": "C:\\src\n",
      "e-large.pth": `import demo\n#${" ".repeat(1 << 20)}\n`,
      "demo/inner.pth": "import demo\n",
      "usercustomize.py": "",
      "demo/sitecustomize.py": "",
    },
  });
  const wheel = await stageWheel(offlineContext(join(folder.path, "cache")), path);
  expect(
    startNotes([wheel])
      .map((note) => note.replace("demo brings ", ""))
      .sort(),
  ).toEqual([
    "a-code.pth, which runs code at every start",
    "b-folder.pth, which adds to the search path at every start",
    'c-outside.pth, which names "/home/anna/src", a folder that the package does not hold',
    'd-windows.pth, which names "C:\\\\src", a folder that the package does not hold',
    "e-large.pth, which acts at every start",
    "usercustomize.py, which runs at every start",
  ]);
});
