import { expect, test } from "bun:test";

import { ioError } from "../../lib/base/mod.ts";

const failed = (code: string) =>
  Object.assign(new Error(code), { code, syscall: "copyfile", path: "/from", dest: "/to" });

test("a copy without space names its destination, one without a source its source", () => {
  expect(ioError(failed("ENOSPC"))).toMatchObject({ message: "/to: no space left on the disk" });
  expect(ioError(failed("ENOENT"))).toMatchObject({ message: "/from: does not exist" });
  expect(ioError(failed("ENOSPC"), "/named")).toMatchObject({
    message: "/named: no space left on the disk",
  });
});
