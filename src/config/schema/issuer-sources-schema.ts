import { z } from 'zod';
import { jsonMap, mapOf, scalar, statuses } from '../types/collection-types.ts';
import { field, optional, required, sectionOr, sectionOrNull, variant } from '../types/fields.ts';
import { duration } from '../types/number-types.ts';
import {
  templateJson,
  templateJsonMap,
  templateText,
  templateVariable,
  textOrSecret,
  textsOrSecret,
} from '../types/template-types.ts';
import { choice, secret, text, url, word } from '../types/text-types.ts';
import { issuerProxy, issuerTls } from './shared-schema.ts';
import { expiresAt, extra, ofEverySource } from './token-source-fields.ts';

/** How a JWT that stands for us is signed. */
function assertion(description: string) {
  return sectionOrNull(
    {
      alg: field(word, 'RS256', 'Signature algorithm.'),
      key: optional(secret, 'The private key as PEM, or the name of a PEM file.'),
      passphrase: optional(secret, 'Opens `key`.'),
      audience: optional(text, '`aud`. Default: the token endpoint.'),
      header: field(templateJsonMap, {}, 'More header fields, e.g. kid; texts may hold {{templates}}.'),
      claims: field(templateJsonMap, {}, 'More claims, e.g. iss, sub, scope; texts may hold {{templates}}.'),
      ttl: field(duration({ min: 1_000 }), 60, 'Its life.'),
    },
    description,
  );
}

export const oauth2Source = variant(
  {
    type: z.literal('oauth2'),
    token_url: required(url(), 'The token endpoint.'),
    grant: field(
      choice('client_credentials', 'password', 'refresh_token', 'jwt_bearer', 'token_exchange'),
      'client_credentials',
      'The grant (RFC 6749, 7523, 8693).',
    ),
    client_id: optional(text, 'Our client id.'),
    client_secret: optional(secret, 'Our client secret.'),
    auth: field(
      choice('basic', 'post', 'private_key_jwt', 'client_secret_jwt', 'mtls', 'none'),
      'basic',
      'How we prove who we are.',
    ),
    auth_encoding: field(
      choice('strict', 'loose'),
      'strict',
      '`loose`: id and secret go into Basic as they are, for servers that do not decode them (RFC 6749 2.3.1).',
    ),
    client_assertion: assertion('How the JWT of private_key_jwt and client_secret_jwt is made.'),
    client_assertion_token: optional(word, 'Or: the source, by name, whose token is that JWT.'),
    username: optional(text, 'For the password grant.'),
    password: optional(secret, 'For the password grant.'),
    refresh_token: optional(secret, 'For the refresh_token grant: the first one; rotated ones replace it.'),
    refresh_token_file: optional(word, 'Keeps rotated refresh tokens over a restart.'),
    assertion: assertion('For the jwt_bearer grant: how the assertion is signed.'),
    assertion_token: optional(word, 'Or: the source, by name, whose token is the assertion.'),
    subject_token: optional(word, 'For token_exchange: the source, by name, whose token is exchanged.'),
    subject_token_type: optional(text, 'For token_exchange: what it is. Default: an access token.'),
    actor_token: optional(word, 'For token_exchange: the source, by name, of the acting party.'),
    actor_token_type: optional(text, 'For token_exchange: what that is.'),
    scope: optional(text, 'Scopes, separated by blanks.'),
    params: field(
      mapOf(textsOrSecret),
      {},
      'More parameters of the request, e.g. audience or resource; a list repeats the parameter.',
    ),
    headers: field(mapOf(textOrSecret), {}, 'More headers of the request.'),
    encoding: field(choice('form', 'json'), 'form', 'Form of the request body.'),
    token_field: optional(word, 'Member of the answer that is the token. Default: access_token.'),
    extra,
    tls: issuerTls,
    proxy: issuerProxy,
    ...ofEverySource,
  },
  'A token from an OAuth 2 or OpenID Connect token endpoint.',
);

export const httpSource = variant(
  {
    type: z.literal('http'),
    url: required(url(), 'The issuer.'),
    method: optional(
      choice('GET', 'POST', 'PUT', 'PATCH'),
      'Method of the request. Default: POST with a body, GET without one.',
    ),
    headers: field(mapOf(templateText), {}, 'Headers; values may hold {{templates}}.'),
    query: field(mapOf(templateText), {}, 'Query parameters; values may hold {{templates}}.'),
    body_json: optional(templateJson, 'JSON body; texts in it may hold {{templates}}.'),
    body_form: optional(mapOf(templateText), 'Form body; values may hold {{templates}}.'),
    body_text: optional(templateText, 'Any other body; may hold {{templates}}.'),
    vars: field(
      mapOf(templateVariable),
      {},
      'Names for templates, e.g. the secret that signs. Treated as secrets.',
    ),
    basic: sectionOrNull(
      { username: required(text, 'User.'), password: required(secret, 'Password.') },
      'HTTP Basic authentication.',
    ),
    token: optional(word, 'Another source, by name, whose token templates know as `token`.'),
    success: sectionOr(
      {
        status: optional(statuses, 'Statuses that mean success. Default: 200-299.'),
        json: field(jsonMap, {}, 'JSON pointers and the value that each must have, e.g. { /code: 0 }.'),
      },
      'When an answer is a success; many issuers answer errors with 200.',
    ),
    denied: sectionOrNull(
      {
        status: optional(statuses, 'Statuses that mean it. Default: any.'),
        json: field(jsonMap, {}, 'JSON pointers and the value, or list of values, that mean it.'),
      },
      'When an answer means that our credentials are wrong: asked again every 30 s only, lest the account gets locked.',
    ),
    token_at: field(
      word,
      '/access_token',
      'Where the token is: a JSON pointer (/data/accessToken), header:NAME, cookie:NAME, form:NAME, regex:... (its first group), or body.',
    ),
    expires_at: expiresAt,
    refresh_in_at: optional(text, 'JSON pointer to the seconds after which the issuer wants a renewal.'),
    force: sectionOrNull(
      {
        in: field(choice('query', 'body'), 'body', 'Where it goes.'),
        name: required(word, 'Its name.'),
        value: field(scalar, true, 'Its value.'),
      },
      'Added to the request when the last token was refused, for issuers that would give the same one again.',
    ),
    extra,
    tls: issuerTls,
    proxy: issuerProxy,
    ...ofEverySource,
  },
  'A token from any HTTP endpoint.',
);
