/** A server that answers as it is told, byte by byte: what no honest server library would send. */
import { createServer, type Server, type Socket } from "node:net";

export interface Asked {
  path: string;
  /** Lower-case names. */
  headers: Record<string, string>;
}

export type Answer = (socket: Socket, asked: Asked, count: number) => void | Promise<void>;

export interface HostileServer extends Disposable {
  url: string;
  asked: Asked[];
}

/** Every request gets `answer`, whatever its connection; `count` is 1 for the first request of a path. */
export async function hostileServer(answer: Answer): Promise<HostileServer> {
  const asked: Asked[] = [];
  const open = new Set<Socket>();
  const server: Server = createServer((socket) => {
    open.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => open.delete(socket));
    let text = "";
    socket.on("data", (piece) => {
      text += piece.toString("latin1");
      if (!text.includes("\r\n\r\n")) return;
      const request = parse(text);
      text = "";
      asked.push(request);
      const count = asked.filter(({ path }) => path === request.path).length;
      void answer(socket, request, count);
    });
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    [Symbol.dispose]() {
      for (const socket of open) socket.destroy();
      server.close();
    },
  };
}

function parse(text: string): Asked {
  const [first = "", ...lines] = (text.split("\r\n\r\n")[0] ?? "").split("\r\n");
  const pairs = lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  return { path: first.split(" ")[1] ?? "", headers: Object.fromEntries(pairs) };
}

/** Status line and headers; the connection closes after the body unless it is cut before. */
export function head(status: number, headers: Record<string, string | number> = {}): string {
  const lines = Object.entries({ connection: "close", ...headers }).map(
    ([k, v]) => `${k}: ${v}\r\n`,
  );
  return `HTTP/1.1 ${status} Whatever\r\n${lines.join("")}\r\n`;
}

/** An honest answer to a request with or without a range. */
export function whole(socket: Socket, asked: Asked, body: Uint8Array, more = {}): void {
  const start = Number(/^bytes=(\d+)-$/.exec(asked.headers.range ?? "")?.[1] ?? 0);
  const rest = body.subarray(start);
  const range =
    start > 0 ? { "content-range": `bytes ${start}-${body.length - 1}/${body.length}` } : {};
  socket.write(head(start > 0 ? 206 : 200, { "content-length": rest.length, ...range, ...more }));
  socket.end(rest);
}
