import { list } from '../types/collection-types.ts';
import { field, optional, required, section, sectionOr } from '../types/fields.ts';
import { integer, size } from '../types/number-types.ts';
import { pathGlob, secret, sha256, word } from '../types/text-types.ts';

export const client = section(
  {
    name: required(word, 'Its name in records, metrics and `upstreams[].clients`.'),
    key: optional(secret, 'Its key.'),
    key_sha256: optional(sha256, 'SHA-256 of its key in hex, instead of the key.'),
    models: field(list(word), ['*'], 'Models that it may use: names and globs.'),
    paths: field(
      list(pathGlob),
      ['/**'],
      'Paths that it may use: globs, each with an optional method before it. Default: all that `pass_through` allows.',
    ),
    rpm: field(
      integer({ min: 0 }),
      0,
      'Requests a minute, lists of models not counted; 0: no limit. More get 429.',
    ),
    tpm: field(
      integer({ min: 0 }),
      0,
      'Tokens a minute, counted from the usage of an answer when it is over, so it is the next request that gets 429; 0: no limit.',
    ),
    max_concurrency: field(integer({ min: 0 }), 0, 'Requests at once; 0: no limit. More get 429.'),
  },
  'A named client key.',
);

export const limits = sectionOr(
  {
    body: field(size({ min: 1 }), '64MiB', 'Longest JSON request body.'),
    upload: field(size({ min: 1 }), '1GiB', 'Longest passed-through request body.'),
    replay: field(
      size({ min: 0 }),
      '8MiB',
      'Longest passed-through body that is kept, so that it can be sent again.',
    ),
    buffered: field(size({ min: 1 }), '1GiB', 'All bodies in memory together.'),
    header_bytes: field(size({ min: 4_096 }), '64KiB', 'All headers of one request.'),
    response: field(size({ min: 1 }), '256MiB', 'Longest upstream reply that is not a stream.'),
    concurrency: field(integer({ min: 1 }), 2000, 'Requests at once; more get 503.'),
  },
  'Bounds that protect this process.',
);

export const passThrough = sectionOr(
  {
    deny: field(
      list(pathGlob),
      ['/v1/organization/**', '/v1/projects/**', 'DELETE /v1/models/*'],
      'Paths refused with 403: globs, each with an optional method before it.',
    ),
  },
  'Paths that are neither chat, completions, embeddings, rerank nor models.',
);
