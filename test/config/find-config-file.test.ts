import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findConfigFile } from '../../src/config/load/load-config.ts';
import { withFiles } from './config-text.ts';

test('a named file is used, whether it exists or not', () => {
  assert.equal(findConfigFile('sub/x.yaml', '/srv'), '/srv/sub/x.yaml');
  assert.equal(findConfigFile('/etc/x.yaml', '/srv'), '/etc/x.yaml');
});

test('else the file of the working directory, else that of the root, else none', () => {
  withFiles({ 'config.yaml': '' }, (directory) => {
    assert.equal(findConfigFile(undefined, directory), join(directory, 'config.yaml'));
  });
  withFiles({}, (directory) => {
    assert.equal(findConfigFile(undefined, directory), existsSync('/config.yaml') ? '/config.yaml' : null);
  });
});
