/** Names whose values are credentials, in all spellings of issuers. */
const SECRET_NAME =
  /secret|passw|pwd|token|credential|authorization|cookie|assertion|signature|(?:^|[-_.])(?:api|access|private|subscription|functions)?[-_]?key$|apikey|accesskey$|^(?:sk|sign|sig|code)$/i;
/** Names that look like those but mean a type or the caller. */
const PLAIN_NAME = /type$|^scopes?$|_id$|^client_?id$|url$|uri$|^(?:x-)?metadata$|expir|_in$/i;

/** Whether the value of a parameter, member or header of this name is a credential. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name) && !PLAIN_NAME.test(name);
}

const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** Whether a text is a UUID, which names something and opens nothing. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** Whether a text has the shape of a credential: a JWT, or long and random. */
export function looksSecret(text: string): boolean {
  if (/^eyJ[\w-]+\.[\w-]+\./.test(text)) return true;
  return /^[\w+/=.~-]{32,}$/.test(text) && /\d/.test(text) && /[a-z]/i.test(text) && !isUuid(text);
}
