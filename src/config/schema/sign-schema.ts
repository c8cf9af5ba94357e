import { z } from 'zod';
import { mapOf } from '../types/collection-types.ts';
import { field, optional, sectionOrNull } from '../types/fields.ts';
import { isMapping, scalarText } from '../types/scalar.ts';
import { templateText, templateVariable } from '../types/template-types.ts';
import { choice, secret, text } from '../types/text-types.ts';

const WHAT =
  'How each request is signed, over its final bytes and each attempt anew: `aws_sigv4`, `tc3`, or a mapping with `type` and the keys of that scheme.';

/** `sign: aws_sigv4` is `sign: { type: aws_sigv4 }`. */
function expanded(value: unknown): unknown {
  const written = isMapping(value) ? null : scalarText(value);
  return written === null || written === '' ? (written === '' ? undefined : value) : { type: value };
}

/** `upstreams[].sign`; null: requests are not signed. `shorthand`: what editors accept instead of the mapping. */
export const sign = z
  .preprocess(
    expanded,
    sectionOrNull(
      {
        type: field(
          choice('headers', 'aws_sigv4', 'tc3'),
          'headers',
          '`aws_sigv4`: AWS Signature Version 4. `tc3`: TC3-HMAC-SHA256 of Tencent Cloud. `headers`: the templates below.',
        ),
        key_id: optional(
          text,
          'Access key id (AWS), SecretId (Tencent). Default: `key_id` in `extra` of the token source.',
        ),
        key: optional(
          secret,
          'Secret access key, SecretKey. Default: `key` in `extra` of the token source, or its token.',
        ),
        session_token: optional(
          secret,
          'Session token of temporary credentials. Default: `session_token` in `extra` of the token source, or its token.',
        ),
        region: optional(text, 'Region. Default for AWS: that of the host.'),
        service: optional(text, 'Service in the signature. Default: that of the host.'),
        action: optional(text, 'For `tc3`: X-TC-Action.'),
        version: optional(text, 'For `tc3`: X-TC-Version.'),
        headers: field(
          mapOf(templateText),
          {},
          'For `headers`: headers to add; values may hold {{templates}}.',
        ),
        query: field(
          mapOf(templateText),
          {},
          'For `headers`: query parameters to add; values may hold {{templates}}.',
        ),
        vars: field(mapOf(templateVariable), {}, 'For `headers`: names for templates. Treated as secrets.'),
      },
      WHAT,
    ),
  )
  .meta({ description: WHAT, isNullable: true, shorthand: ['aws_sigv4', 'tc3'] });
