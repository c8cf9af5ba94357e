import { randomUUID } from 'node:crypto';
import { type AlertRequest, type AlertService, jsonPost, type ServiceSettings } from '../alert-service.ts';
import { alertText, alertTexts, cutBytes } from '../alert-text.ts';

/** An event may have 65,536 bytes. */
const MAX_TEXT_BYTES = 32_000;

/**
 * Matrix: with a room and a token the client-server API v1.1 or later (spec.matrix.org, "PUT …/send/{eventType}/{txnId}").
 * With neither the URL is complete and gets the JSON of openai-api-route, and beside it the member that Matrix itself reads.
 */
export const matrix: AlertService = {
  isGrouping: true,
  request(alerts, settings) {
    const body = cutBytes(alertTexts(alerts, settings.render ?? alertText), MAX_TEXT_BYTES);
    if (settings.room === null) return jsonPost(settings, { message: 'm.text', msgtype: 'm.text', body });
    return toRoom(settings, settings.room, { msgtype: 'm.text', body });
  },
};

/** A retry sends the same request, so that the server recognises the transaction and shows the message once. */
function toRoom(settings: ServiceSettings, room: string, content: object): AlertRequest {
  const post = jsonPost(settings, content);
  const server = post.url.replace(/\/(?:_matrix(?:\/.*)?)?$/, '');
  const path = `_matrix/client/v3/rooms/${encodeURIComponent(room)}/send/m.room.message/${randomUUID()}`;
  return {
    ...post,
    method: 'PUT',
    url: `${server}/${path}`,
    headers: { ...post.headers, authorization: `Bearer ${settings.token?.reveal() ?? ''}` },
  };
}
