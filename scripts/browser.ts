import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Where distributions and people put a Chromium. */
const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];

/** The browser of the tests: `CHROMIUM` in the environment, or one that is installed; null: there is none. */
export function findBrowser(): string | null {
  const named = process.env.CHROMIUM;
  if (named !== undefined && named !== '') return existsSync(named) ? named : null;
  return PLACES.find((path) => existsSync(path)) ?? null;
}

/** Installs Debian's Chromium, as root on a machine with apt. Throws an Error that says what to install elsewhere. */
export function installBrowser(): string {
  const found = findBrowser();
  if (found !== null) return `${found} is there`;
  const isDebian = existsSync('/usr/bin/apt-get') && process.getuid?.() === 0;
  if (!isDebian)
    throw new Error('There is no Chromium: install Chromium or Chrome, or name one in CHROMIUM.');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (const args of [
    ['update', '-qq'],
    ['install', '-y', '-qq', '--no-install-recommends', 'chromium', 'fonts-noto-cjk'],
  ]) {
    const done = spawnSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'], env });
    if (done.status !== 0) throw new Error(`apt-get ${args.join(' ')} failed`);
  }
  const installed = findBrowser();
  if (installed === null) throw new Error('apt-get installed no Chromium where it is looked for');
  return `${installed} was installed`;
}
