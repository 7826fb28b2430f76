import { expect, test } from "bun:test";

import { closingLine, noTests, readCargo, readGo, readJunit, sum } from "../../scripts/summary.ts";

test("readJunit() counts tests and keeps the names of failed and skipped ones", () => {
  const counts = readJunit(`<?xml version="1.0"?>
<testsuites name="bun test" tests="4">
  <testsuite name="t.test.ts" file="t.test.ts"><testsuite name="group">
    <testcase name="a &gt; b" classname="group" file="t.test.ts" assertions="1" />
    <testcase name="fails" file="t.test.ts"><failure type="AssertionError" /></testcase>
    <testcase name="needs &quot;x&quot;" file="t.test.ts">
      <skipped />
    </testcase>
    <testcase name="last" file="t.test.ts"/>
  </testsuite></testsuite>
</testsuites>`);
  expect(counts).toEqual({
    passed: 2,
    failed: 1,
    skipped: 1,
    failures: ["t.test.ts: fails"],
    skips: ['t.test.ts: needs "x"'],
  });
});

test("readCargo() reads several binaries", () => {
  const counts = readCargo(`
running 2 tests
test seal::tests::a ... ok
test seal::tests::b ... FAILED

test result: FAILED. 1 passed; 1 failed; 0 ignored

running 1 test
test tar::c ... ignored, needs root
`);
  expect([counts.passed, counts.failed, counts.skipped]).toEqual([1, 1, 1]);
  expect(counts.skips).toEqual(["rust: tar::c (ignored, needs root)"]);
});

test("readGo() counts tests, and a package that does not build as one failure", () => {
  const event = (fields: object) => JSON.stringify(fields);
  const counts = readGo(
    [
      event({ Action: "run", Package: "p", Test: "TestA" }),
      event({ Action: "pass", Package: "p", Test: "TestA" }),
      event({ Action: "fail", Package: "p", Test: "TestB" }),
      event({ Action: "skip", Package: "p", Test: "TestC" }),
      event({ Action: "fail", Package: "p" }),
      event({ Action: "fail", Package: "q" }),
      "FAIL",
      "{not json",
    ].join("\n"),
  );
  expect([counts.passed, counts.failed, counts.skipped]).toEqual([1, 2, 1]);
  expect(counts.failures).toEqual(["go: p TestB", "go: q (package)"]);
});

test("closingLine() is what continuous integration reads", () => {
  const total = sum([
    { ...noTests(), passed: 2 },
    { ...noTests(), failed: 1, skipped: 3 },
  ]);
  expect(closingLine(total)).toBe("2 passed, 1 failed, 3 skipped");
});
