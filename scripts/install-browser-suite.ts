/** `npm run install:browser`: a Chromium for the tests of the page, from Debian's packages. What is there is left alone. */
import { installBrowser } from './browser.ts';

try {
  console.log(installBrowser());
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
