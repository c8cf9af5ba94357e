#!/usr/bin/env node
// The command `tokenferry` of the built package (dist/tokenferry.mjs). An old Node gets one clear line: static
// imports are read before any code runs, so main.js is imported only after the check. Runs on Node 12.20 too.
import { readFileSync } from 'node:fs';

/** As in package.json: `>=22.19`. */
const { engines } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const oldest = engines.node.replace('>=', '');
const [oldestMajor, oldestMinor] = oldest.split('.').map(Number);
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
  console.error(
    `tokenferry needs Node ${oldest} or newer; this is ${process.versions.node} (${process.execPath}).`,
  );
  process.exit(1);
}
import('./main.js').catch((error) => {
  console.error(error);
  process.exit(1);
});
