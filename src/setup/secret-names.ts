/** Names whose values are credentials, in all spellings of issuers. */
const SECRET_NAME =
  /secret|passw|pwd|token|credential|authorization|cookie|assertion|signature|identity-header|(?:^|[-_.])(?:api|access|private|subscription|functions)?[-_]?key$|apikey|accesskey$|^(?:sk|sign|sig|code)$/i;
/** Names that look like those but mean a type or the caller. */
const PLAIN_NAME = /type$|^scopes?$|(?<!secret)_id$|^client_?id$|url$|uri$|^(?:x-)?metadata$|expir|_in$/i;

/** Whether the value of a parameter, member or header of this name is a credential. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name) && !PLAIN_NAME.test(name);
}

const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** Whether a text is a UUID, which names something and opens nothing. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** Shorter texts are words, versions and dates. */
const RANDOM_TEXT = /^(?=.*\d)(?=.*[a-z])(?=.*[A-Z])[\w+/=~-]{12,}$/;

/** Whether a text has the shape of a credential: a JWT, random, or long. */
export function looksSecret(text: string): boolean {
  if (/^eyJ[\w-]+\.[\w-]+\./.test(text) || RANDOM_TEXT.test(text)) return true;
  return /^[\w+/=.~-]{32,}$/.test(text) && /\d/.test(text) && /[a-z]/i.test(text) && !isUuid(text);
}
