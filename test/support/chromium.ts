/** A page in headless Chromium, driven over its debugging protocol: what it shows, what it complains about, what it asks the network for. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

type Message = {
  id?: number;
  method?: string;
  params?: any;
  result?: any;
  error?: { message: string };
};

export class Page implements AsyncDisposable {
  /** Exceptions, console messages and log entries (among them violations of the page's policy). */
  readonly complaints: string[] = [];
  /** Addresses that the page asked for. */
  readonly requests: string[] = [];
  readonly #waiting = new Map<number, (message: Message) => void>();
  #loaded = Promise.withResolvers<void>();
  #session = "";
  #last = 0;

  private constructor(
    private readonly browser: Bun.Subprocess<"ignore", "ignore", "pipe">,
    private readonly folder: string,
    private readonly socket: WebSocket,
  ) {
    socket.addEventListener("message", ({ data }) => this.#receive(JSON.parse(String(data))));
  }

  /** Starts the browser, which keeps everything in a folder of its own. */
  static async open(size = { width: 1280, height: 1000 }): Promise<Page> {
    const folder = mkdtempSync(join(tmpdir(), "sealift-chromium-"));
    const browser = Bun.spawn(
      [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--remote-debugging-port=0",
        `--user-data-dir=${folder}`,
        `--window-size=${size.width},${size.height}`,
      ],
      { env: { ...process.env, HOME: folder }, stdin: "ignore", stdout: "ignore", stderr: "pipe" },
    );
    const socket = new WebSocket(await listeningAt(browser.stderr));
    await new Promise((done, failed) => {
      socket.addEventListener("open", done);
      socket.addEventListener("error", failed);
    });
    const page = new Page(browser, folder, socket);
    const { targetId } = await page.#call("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await page.#call("Target.attachToTarget", { targetId, flatten: true });
    page.#session = sessionId;
    for (const domain of ["Page", "Runtime", "Log", "Network"])
      await page.#call(`${domain}.enable`);
    return page;
  }

  /** Loads the page anew, also when only the hash differs. */
  async goto(url: string): Promise<void> {
    for (const address of ["about:blank", url]) {
      this.#loaded = Promise.withResolvers<void>();
      await this.#call("Page.navigate", { url: address });
      await this.#loaded.promise;
    }
  }

  /** The value of an expression in the page, after its promises. */
  async evaluate<T>(expression: string): Promise<T> {
    const how = { expression, returnByValue: true, awaitPromise: true };
    const { result, exceptionDetails } = await this.#call("Runtime.evaluate", how);
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? "it threw");
    return result.value;
  }

  async press(key: string): Promise<void> {
    await this.#call("Input.dispatchKeyEvent", { type: "keyDown", key });
    await this.#call("Input.dispatchKeyEvent", { type: "keyUp", key });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.close();
    this.browser.kill();
    await this.browser.exited;
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  async #call(method: string, params: object = {}): Promise<any> {
    const id = ++this.#last;
    const answer = new Promise<Message>((done) => this.#waiting.set(id, done));
    const session = this.#session === "" ? {} : { sessionId: this.#session };
    this.socket.send(JSON.stringify({ id, method, params, ...session }));
    const { result, error } = await answer;
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
  }

  #ask(url: string): void {
    if (url !== "about:blank") this.requests.push(url);
  }

  #receive({ id, method, params, ...rest }: Message): void {
    if (id !== undefined) this.#waiting.get(id)?.(rest);
    else if (method === "Page.loadEventFired") this.#loaded.resolve();
    else if (method === "Network.requestWillBeSent") this.#ask(params.request.url);
    else if (method === "Runtime.exceptionThrown")
      this.complaints.push(params.exceptionDetails.exception?.description ?? "exception");
    else if (method === "Runtime.consoleAPICalled")
      this.complaints.push(params.args.map((arg: { value: unknown }) => arg.value).join(" "));
    else if (method === "Log.entryAdded") this.complaints.push(params.entry.text);
  }
}

async function listeningAt(stderr: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of stderr) {
    text += decoder.decode(part, { stream: true });
    const address = /DevTools listening on (ws:\S+)/.exec(text)?.[1];
    if (address !== undefined) return address;
  }
  throw new Error(`Chromium did not start: ${text}`);
}
