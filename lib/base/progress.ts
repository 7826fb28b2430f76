/** How long work tells what it does, without knowing whether anybody looks. `lib/cli` draws it, `--json` drops it. */

export interface Task {
  /** `n` more units (bytes, files) are done. */
  advance(n: number): void;
  done(): void;
}

export interface Progress {
  /** One finished or beginning step, one line. */
  step(text: string): void;
  /** Work of `total` units, or of unknown length. */
  task(label: string, total?: number): Task;
}

const silentTask: Task = { advance() {}, done() {} };

export const silentProgress: Progress = { step() {}, task: () => silentTask };
