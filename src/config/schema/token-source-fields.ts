import { list, mapOf, statuses } from '../types/collection-types.ts';
import { field, optional, sectionOr, sectionOrNull } from '../types/fields.ts';
import { duration, number } from '../types/number-types.ts';
import { choice, text, word } from '../types/text-types.ts';
import { bodyMatchers, placements } from '../types/token-types.ts';

/** Ten years, as good as for ever. */
export const LONGEST_TTL_MS = 10 * 365 * 86_400_000;

/** What every token source understands, whatever it gets its token from. */
export const ofEverySource = {
  place: field(
    placements,
    { header: 'Authorization', prefix: 'Bearer ' },
    'Where the token goes in each request: a `header`, `query`, `cookie` or `body` name (a header with an optional `prefix`), or several in a list. `extra`: another value of the answer instead of the token.',
  ),
  reject: sectionOr(
    {
      statuses: field(statuses, [401], 'Upstream statuses that mean "this token is no longer good".'),
      body: field(
        bodyMatchers,
        [],
        'Upstream bodies that mean it, whatever the status: JSON pointers and the value, or list of values, found there.',
      ),
    },
    'How an upstream says that the token is no longer good: it is renewed and the request replayed once.',
  ),
  refresh: sectionOr(
    {
      at: optional(
        list(number({ min: 0.05, max: 0.95 }), { minItems: 1, maxItems: 2 }),
        'Share of the life, from and to, in which a renewal starts; jittered between the two. Default [0.40, 0.50]; [0.75, 0.80] with `rotation: exclusive`.',
      ),
      leeway: field(
        duration({ max: 3_600_000 }),
        15,
        'A token with less left is not used; at most 5 % of its life.',
      ),
      floor: field(
        duration({ max: 3_600_000 }),
        2,
        'The same while the issuer does not answer: better an old token than none; at most 1 % of its life.',
      ),
      attempt_timeout: optional(
        duration({ min: 1 }),
        'One call of the issuer. Default 10; for `exec` its `timeout`.',
      ),
      max_wait: field(duration(), 30, 'Longest time that a request waits for a token; then 503.'),
    },
    'When and how patiently the token is renewed.',
  ),
  rotation: field(
    choice('overlap', 'exclusive'),
    'overlap',
    '`exclusive`: a new token ends the life of the one before, so it is renewed late and never needlessly.',
  ),
  share: field(
    choice('none', 'file', 'shared'),
    'none',
    'Who renews: each process by itself, one process of this machine, one replica of all (`shared`).',
  ),
  default_ttl: field(
    duration({ min: 1_000, max: LONGEST_TTL_MS }),
    240,
    'Life of a token that does not say when it ends.',
  ),
};

export const expiresAt = sectionOrNull(
  {
    pointer: optional(text, 'JSON pointer, or header:NAME, to the time.'),
    as: field(
      choice('auto', 'relative', 'absolute', 'jwt'),
      'auto',
      'A time from now, a point in time, or the `exp` of the token itself.',
    ),
    unit: field(choice('auto', 's', 'ms', 'us', 'ns', 'iso'), 'auto', 'Unit of the time.'),
  },
  'When the token ends. Default: `expires_in` and the like, and the `exp` of a JWT; the earliest counts.',
);

export const extra = field(
  mapOf(word),
  {},
  'More values of the answer that `place` can name in `extra`: names and their JSON pointers.',
);
