import type { RequestListener } from 'node:http';

/**
 * Serves clients that wait for `100 Continue` before they send a body: they get it when somebody begins to read the
 * body, so that what is refused by its headers is never sent. Node alone would ask for every body at once.
 */
export function onlyWantedBodies(serve: RequestListener): RequestListener {
  return (request, response) => {
    const { shouldKeepAlive } = response;
    let isAsked = false;
    // Unless the body was asked for, nobody can tell whether what comes next is it or another request.
    response.shouldKeepAlive = false;
    request.on('newListener', (event) => {
      if (event !== 'data' || isAsked || response.headersSent) return;
      isAsked = true;
      response.shouldKeepAlive = shouldKeepAlive;
      response.writeContinue();
    });
    serve(request, response);
  };
}
