/** `npm run install:deploy`: promtool, from the package `prometheus` of Debian or Ubuntu when it is missing. */
import { spawnSync } from 'node:child_process';

const hasPromtool = (): boolean => spawnSync('promtool', ['--version'], { stdio: 'ignore' }).status === 0;

if (!hasPromtool()) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', ['update', '-qq'], { stdio: 'inherit', env });
  const install = ['install', '-y', '-qq', '--no-install-recommends', 'prometheus'];
  spawnSync('apt-get', install, { stdio: 'inherit', env });
}
if (hasPromtool()) console.log('promtool is there');
else {
  console.error(
    'promtool is missing: install Prometheus (https://prometheus.io/download/) or the package "prometheus".',
  );
  process.exitCode = 1;
}
