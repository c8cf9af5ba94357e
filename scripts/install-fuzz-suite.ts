/**
 * `npm run install:fuzz`: schemathesis at an exact version, into a git-ignored folder of `test/fuzz`. What is there
 * already is left alone. Needs Python 3.11 or newer with `venv`.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findPython, installPython } from './python-environment.ts';

const folder = fileURLToPath(new URL('../test/fuzz', import.meta.url));

const python = findPython();
if (python === null) process.exit(1);
try {
  const requirements = join(folder, 'python', 'requirements.txt');
  const took = await installPython(python, join(folder, '.venv'), requirements);
  console.log(`schemathesis for Python ${python.version.join('.')}: ${took}`);
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
