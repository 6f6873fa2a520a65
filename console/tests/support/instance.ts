/** The running binary with a scripted provider: crates/keybearer/examples/console.rs. */
import { type ChildProcess, spawn } from "node:child_process";
import { resolve } from "node:path";
import { createInterface, type Interface } from "node:readline";

const TARGET = resolve(import.meta.dirname, "../../../target/debug");

/** What the provider is told to do with requests that carry `key` or go to `path`. */
interface Script {
  key?: string;
  path?: string;
  status: number;
  body: unknown;
  delay_ms?: number;
}

export class Instance {
  url = "";
  setupToken = "";
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;

  private constructor(mode: string[]) {
    this.#child = spawn(resolve(TARGET, "examples/console"), [resolve(TARGET, "keybearer"), ...mode], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    if (!this.#child.stdout) throw new Error("no output of the instance");
    this.#reader = createInterface({ input: this.#child.stdout });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  static start(): Promise<Instance> {
    return Instance.#begin([]);
  }

  /** An instance of one person. */
  static startLocal(): Promise<Instance> {
    return Instance.#begin(["local"]);
  }

  static async #begin(mode: string[]): Promise<Instance> {
    const instance = new Instance(mode);
    const { url, setup_token } = await instance.#answer();
    instance.url = String(url);
    instance.setupToken = String(setup_token);
    return instance;
  }

  /** Tells the provider how to answer. */
  async script(script: Script): Promise<void> {
    await this.#tell(script);
  }

  /** Forgets all scripts. */
  async reset(): Promise<void> {
    await this.#tell({ reset: true });
  }

  /** What `keybearer console` prints. */
  async consoleLink(): Promise<string> {
    return String((await this.#tell({ console_link: true })).url);
  }

  /** How many requests the provider got. */
  async providerRequests(): Promise<number> {
    return Number((await this.#tell({ requests: true })).requests);
  }

  /** Ends all that was started. */
  async stop(): Promise<void> {
    const ended = new Promise((done) => this.#child.once("exit", done));
    this.#child.stdin?.end();
    await ended;
    this.#reader.close();
  }

  async #tell(told: object): Promise<Record<string, unknown>> {
    this.#child.stdin?.write(`${JSON.stringify(told)}\n`);
    return this.#answer();
  }

  async #answer(): Promise<Record<string, unknown>> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("the instance ended");
    return JSON.parse(value);
  }
}
