/** Podman or docker, as far as a suite needs it; what a suite made is gone when `cleanUp` has been called. */
import { spawn, spawnSync } from 'node:child_process';

interface Said {
  readonly code: number;
  readonly stdout: string;
  /** Both streams, in the order in which they came. */
  readonly text: string;
}

interface CommandOptions {
  readonly limitMs?: number;
  /** Called with the output so far, whenever there is more. */
  readonly onText?: (text: string) => void;
}

/** Long enough for one command on a running container, on a busy machine. */
const USUAL_LIMIT_MS = 60_000;

/** A container full of packages is many files to delete; a removal that is cut off leaves the container behind. */
const REMOVAL_LIMIT_MS = 300_000;

/** Seconds that a container has to end by itself before it is killed. */
const GRACE_SECONDS = 15;

export class ContainerEngine {
  readonly name: 'podman' | 'docker';
  readonly #containers = new Set<string>();
  readonly #images = new Set<string>();

  constructor(name: 'podman' | 'docker') {
    this.name = name;
  }

  /** Runs one command of the engine to its end; never rejects. */
  run(args: readonly string[], { limitMs = USUAL_LIMIT_MS, onText }: CommandOptions = {}): Promise<Said> {
    return new Promise((done) => {
      const child = spawn(this.name, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: limitMs });
      let stdout = '';
      let text = '';
      const take = (more: string): void => {
        text += more;
        onText?.(text);
      };
      child.stdout.setEncoding('utf8').on('data', (more: string) => {
        stdout += more;
        take(more);
      });
      child.stderr.setEncoding('utf8').on('data', take);
      child.on('error', (error) => done({ code: 127, stdout, text: error.message }));
      child.on('close', (code, signal) => {
        const why = signal === null ? '' : `\nended by ${signal} after ${limitMs / 1000} s at most`;
        done({ code: code ?? 1, stdout: stdout.trim(), text: text.trim() + why });
      });
    });
  }

  /** As `run`, but resolves with stdout alone, and rejects with the whole output when the command fails. */
  async must(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    const { code, stdout, text } = await this.run(args, options);
    if (code !== 0)
      throw new Error(`${this.name} ${args.slice(0, 2).join(' ')} ended with ${code}:\n${text}`);
    return stdout;
  }

  /** The image is here, or was fetched; false when neither is possible. */
  async hasImage(image: string): Promise<boolean> {
    if ((await this.run(['image', 'inspect', image])).code === 0) return true;
    return (await this.run(['pull', image], { limitMs: 300_000 })).code === 0;
  }

  /** Builds `folder` as the image `tag`, which `cleanUp` removes. */
  async build(tag: string, folder: string, args: readonly string[], limitMs: number): Promise<void> {
    this.#images.add(tag);
    // Without its own format podman drops the health check; layers kept for the next build would stay behind.
    const own = this.name === 'podman' ? ['--format', 'docker', '--layers=false', '--force-rm'] : [];
    await this.must(['build', ...own, ...this.hostNetwork(), ...args, '-t', tag, folder], { limitMs });
  }

  /** Podman's own networks need more of a machine than some have; docker's are always there. */
  hostNetwork(): readonly string[] {
    return this.name === 'podman' ? ['--network', 'host'] : [];
  }

  /** Read-only as docker means it: podman puts writable memory at /tmp by default. */
  readOnly(): readonly string[] {
    return this.name === 'podman' ? ['--read-only', '--read-only-tmpfs=false'] : ['--read-only'];
  }

  /** Starts a container in the background, which `cleanUp` removes; resolves with its id. */
  async start(image: string, options: readonly string[], command: readonly string[] = []): Promise<string> {
    const said = await this.must(['run', '-d', ...options, image, ...command]);
    const id = /^[0-9a-f]{64}$/m.exec(said)?.[0];
    if (id === undefined) throw new Error(`no container id in: ${said}`);
    this.#containers.add(id);
    return id;
  }

  async isRunning(id: string): Promise<boolean> {
    return (await this.must(['inspect', '-f', '{{.State.Running}}', id])) === 'true';
  }

  /** SIGTERM as every orchestrator sends it; resolves with the exit code, 137 when the container had to be killed. */
  async stop(id: string): Promise<number> {
    await this.must(['stop', '-t', String(GRACE_SECONDS), id]);
    return Number(await this.must(['inspect', '-f', '{{.State.ExitCode}}', id]));
  }

  /** Removes the containers and images that were made here, and nothing else. Also called where a signal ends all. */
  cleanUp(): void {
    for (const id of this.#containers) this.#quietly(['rm', '-f', '-v', id]);
    for (const image of this.#images) this.#quietly(['rmi', '-f', image]);
    this.#containers.clear();
    this.#images.clear();
  }

  #quietly(args: readonly string[]): void {
    spawnSync(this.name, args, { stdio: 'ignore', timeout: REMOVAL_LIMIT_MS });
  }
}

/** The first engine that responds; a docker without its daemon does not. */
export function findEngine(): ContainerEngine | null {
  for (const name of ['podman', 'docker'] as const) {
    if (spawnSync(name, ['info'], { stdio: 'ignore', timeout: USUAL_LIMIT_MS }).status === 0)
      return new ContainerEngine(name);
  }
  return null;
}
