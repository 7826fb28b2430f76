/**
 * Progress on stderr: on a terminal one line that is redrawn and erased, shown only when work takes longer than
 * half a second; elsewhere one line per step.
 */
import type { Progress, Task } from "../base/mod.ts";
import { note } from "./output.ts";

const APPEAR_MS = 500;
const REDRAW_MS = 100;
const ERASE = "\r\u001b[K";

/** Lines only: what pipes and log files get. Work that takes long says once what it is. */
export function lineProgress(
  writeLine: (text: string) => void = note,
  now: () => number = () => performance.now(),
): Progress {
  return {
    step: writeLine,
    task(label) {
      const started = now();
      let told = false;
      return {
        advance() {
          if (told || now() - started < APPEAR_MS) return;
          told = true;
          writeLine(label);
        },
        done() {},
      };
    },
  };
}

/** A line that is redrawn. `write` gets raw text; `now` is milliseconds. */
export function barProgress(
  write: (text: string) => void,
  now: () => number = () => performance.now(),
): Progress & { erase(): void } {
  const running: Running[] = [];
  let drawn = false;
  const erase = () => {
    if (drawn) write(ERASE);
    drawn = false;
  };
  const draw = () => {
    const time = now();
    const task = running.findLast((one) => time - one.started >= APPEAR_MS);
    if (task === undefined || time - task.drawn < REDRAW_MS) return;
    task.drawn = time;
    write(ERASE + line(task, time));
    drawn = true;
  };
  return {
    erase,
    step(text) {
      erase();
      write(`${text}\n`);
    },
    task(label, total): Task {
      const task: Running = { label, total, count: 0, started: now(), drawn: 0 };
      running.push(task);
      return {
        advance(n) {
          task.count += n;
          draw();
        },
        done() {
          const index = running.indexOf(task);
          if (index >= 0) running.splice(index, 1);
          erase();
        },
      };
    },
  };
}

interface Running {
  label: string;
  total: number | undefined;
  count: number;
  started: number;
  drawn: number;
}

function line(task: Running, time: number): string {
  if (task.total === undefined || task.total <= 0) {
    return `${task.label}  ${Math.floor((time - task.started) / 1000)} s`;
  }
  const part = Math.min(1, task.count / task.total);
  const width = 24;
  const full = Math.round(part * width);
  const bar = "█".repeat(full) + "░".repeat(width - full);
  return `${task.label}  ${bar} ${String(Math.floor(part * 100)).padStart(3)} %`;
}
