/**
 * Reads a secret from the terminal without showing it. The question goes to stderr, so stdout stays the result. Ctrl-C
 * ends the program by its signal, as anywhere else.
 */
const ENTER = new Set([0x0a, 0x0d, 0x04]);
const ERASE = new Set([0x08, 0x7f]);
const INTERRUPT = 0x03;

/** The line that is typed, without its end. */
export async function readSecret(question: string): Promise<string> {
  const { stdin } = process;
  // Before the question: whoever answers at once must not be shown either.
  stdin.setRawMode(true);
  try {
    await Bun.write(Bun.stderr, `${question}: `);
    return await line(stdin);
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    await Bun.write(Bun.stderr, "\n");
  }
}

function line(stdin: NodeJS.ReadStream): Promise<string> {
  const typed: number[] = [];
  return new Promise((done) => {
    const take = (chunk: Uint8Array) => {
      for (const byte of chunk) {
        if (byte === INTERRUPT) {
          stdin.setRawMode(false);
          process.kill(process.pid, "SIGINT");
        } else if (ENTER.has(byte)) {
          stdin.off("data", take);
          done(Buffer.from(typed).toString("utf8"));
          return;
        } else if (ERASE.has(byte)) eraseCharacter(typed);
        else typed.push(byte);
      }
    };
    stdin.on("data", take);
    stdin.resume();
  });
}

/** Takes off the last UTF-8 character: continuation bytes and the byte that leads them. */
function eraseCharacter(typed: number[]): void {
  while (typed.length > 0 && ((typed.pop() as number) & 0xc0) === 0x80);
}
