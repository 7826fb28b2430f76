/** How many tests passed, failed and were skipped, from the machine-readable reports of three test runners. */

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
  /** One line per failed and per skipped test. */
  failures: string[];
  skips: string[];
}

export function noTests(): Counts {
  return { passed: 0, failed: 0, skipped: 0, failures: [], skips: [] };
}

export function sum(all: readonly Counts[]): Counts {
  return {
    passed: total(all.map((one) => one.passed)),
    failed: total(all.map((one) => one.failed)),
    skipped: total(all.map((one) => one.skipped)),
    failures: all.flatMap((one) => one.failures),
    skips: all.flatMap((one) => one.skips),
  };
}

/** The closing line that continuous integration reads. */
export function closingLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/** `bun test --reporter=junit`: one `<testcase>` per test, with `<failure>` or `<skipped>` inside. */
export function readJunit(xml: string): Counts {
  const counts = noTests();
  for (const [, attributes = "", body] of xml.matchAll(
    /<testcase\b([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g,
  )) {
    const name = `${attribute(attributes, "file")}: ${attribute(attributes, "name")}`;
    if (body?.includes("<failure") || body?.includes("<error")) add(counts, "fail", name);
    else if (body?.includes("<skipped")) add(counts, "skip", name);
    else add(counts, "pass", name);
  }
  return counts;
}

/** `cargo test`: `test name ... ok|FAILED|ignored, why`. */
export function readCargo(text: string): Counts {
  const counts = noTests();
  for (const [, name, result] of text.matchAll(/^test (.+?) \.\.\. (ok|FAILED|ignored.*)$/gm)) {
    if (result === "ok") add(counts, "pass", `rust: ${name}`);
    else if (result === "FAILED") add(counts, "fail", `rust: ${name}`);
    else add(counts, "skip", `rust: ${name} (${result})`);
  }
  return counts;
}

/** `go test -json`: one event per line; a package that does not build fails without a test. */
export function readGo(lines: string): Counts {
  const counts = noTests();
  for (const line of lines.split("\n")) {
    const event = goEvent(line);
    if (event === undefined) continue;
    const name = `go: ${event.Package ?? ""} ${event.Test ?? "(package)"}`;
    if (event.Test !== undefined) {
      if (event.Action === "pass" || event.Action === "fail" || event.Action === "skip") {
        add(counts, event.Action, name);
      }
    } else if (
      event.Action === "fail" &&
      !counts.failures.some((one) => one.startsWith(`go: ${event.Package} `))
    ) {
      add(counts, "fail", name);
    }
  }
  return counts;
}

interface GoEvent {
  Action?: string;
  Package?: string;
  Test?: string;
}

function goEvent(line: string): GoEvent | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line) as GoEvent;
  } catch {
    return undefined;
  }
}

function add(counts: Counts, result: "pass" | "fail" | "skip", name: string): void {
  if (result === "pass") counts.passed++;
  else if (result === "fail") {
    counts.failed++;
    counts.failures.push(name);
  } else {
    counts.skipped++;
    counts.skips.push(name);
  }
}

function attribute(attributes: string, name: string): string {
  const text = new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? "";
  const entities: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (_, entity) => entities[entity] ?? "");
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
