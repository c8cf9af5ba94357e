import { MemberEdits } from '../../lib/json/json-edits.ts';
import { isJsonObject, parseJson } from '../../lib/json/json-object.ts';
import { type BodyFields, readJsonBody } from '../request/body-fields.ts';

/** What Codex 0.171 writes about the installation, the session and the sandbox of its user into each request. */
const CLIENT_METADATA = 'client_metadata';

/** The body without `client_metadata`, which is for OpenAI's own service; else byte for byte. */
export function withoutClientMetadata<Body extends { readonly body: unknown; readonly fields: BodyFields }>(
  read: Body,
): Body {
  const { body } = read;
  if (!Buffer.isBuffer(body) || !body.includes(`"${CLIENT_METADATA}"`)) return read;
  if (parseJson(body.toString('utf8')) === undefined) return read;
  // Bytes as characters, so that everything else stays byte for byte.
  const edits = new MemberEdits(body.toString('latin1'));
  if (edits.valueOf(CLIENT_METADATA) === undefined) return read;
  edits.remove(CLIENT_METADATA);
  const bytes = Buffer.from(edits.toString(), 'latin1');
  return { ...read, body: bytes, fields: readJsonBody(bytes) };
}

/** Whether a request seems to name what is stored at the upstream, which a 404 would be about. */
export function namesStoredObjects(body: Buffer): boolean {
  const json = parseJson(body.toString('utf8'));
  if (!isJsonObject(json)) return false;
  const { previous_response_id, conversation, prompt } = json;
  if ((previous_response_id ?? conversation ?? prompt ?? null) !== null) return true;
  return body.includes('"item_reference"') || body.includes('"file_id"');
}
