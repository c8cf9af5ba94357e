import { z } from 'zod';
import { didYouMean } from '../load/nearest-key.ts';
import { notA, unwrapped } from '../types/fields.ts';
import { isMapping, scalarText } from '../types/scalar.ts';
import { httpSource, oauth2Source } from './issuer-sources-schema.ts';
import {
  envSource,
  execSource,
  fileSource,
  functionSource,
  jwtSource,
  staticSource,
} from './local-sources-schema.ts';

/** The token sources by their `type`. */
const TOKEN_SOURCES = {
  static: staticSource,
  env: envSource,
  file: fileSource,
  exec: execSource,
  oauth2: oauth2Source,
  http: httpSource,
  jwt: jwtSource,
  function: functionSource,
} as const;

const TYPES = Object.keys(TOKEN_SOURCES);

export const tokenSource = z.preprocess(
  unwrapped,
  z.discriminatedUnion(
    'type',
    [staticSource, envSource, fileSource, execSource, oauth2Source, httpSource, jwtSource, functionSource],
    { error: (issue) => (issue.code === 'invalid_union' ? wrongType(issue.input) : notA('mapping')(issue)) },
  ),
);

function wrongType(source: unknown): string {
  const written = isMapping(source) ? scalarText(source.type) : null;
  return `must be one of ${TYPES.join(', ')}${didYouMean(written ?? '', TYPES)}`;
}
