#!/usr/bin/env node
// The command `tokenferry` of the built package (dist/tokenferry.mjs). An old Node gets one clear line: static
// imports are read before any code runs, so main.js is imported only after the check. Runs on Node 12.20 too.
const version = process.versions.node.split('.').map(Number);
if (version[0] < 22 || (version[0] === 22 && version[1] < 19)) {
  console.error(
    `tokenferry needs Node 22.19 or newer; this is ${process.versions.node} (${process.execPath}).`,
  );
  process.exit(1);
}
import('./main.js').catch((error) => {
  console.error(error);
  process.exit(1);
});
