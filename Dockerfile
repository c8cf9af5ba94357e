# syntax=docker/dockerfile:1
# The base image brings Node; the "node" package of the development dependencies is not in the result.
ARG BASE=node:24-bookworm-slim

FROM ${BASE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc* ./
RUN npm ci --include=dev --no-audit --no-fund
COPY . .
RUN npm run build \
 && npm prune --omit=dev --no-audit --no-fund

FROM ${BASE}
ENV NODE_ENV=production \
    TOKENFERRY_LIVEZ=http://127.0.0.1:8888/livez
WORKDIR /data
COPY --from=build --chown=root:root /build/package.json /build/config.sample.yaml /app/
COPY --from=build --chown=root:root /build/node_modules /app/node_modules
COPY --from=build --chown=root:root /build/dist /app/dist
# The only place that is written: records, when dbaddr is the default ./db.sqlite. Everything else may be mounted
# read-only (docker run --read-only -v ferry-data:/data).
RUN chown node:node /data
VOLUME /data
USER node
EXPOSE 8888
STOPSIGNAL SIGTERM
# Another address or base_path: set TOKENFERRY_LIVEZ.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch(process.env.TOKENFERRY_LIVEZ).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# The configuration: /config.yaml, /data/config.yaml, or --config FILE.
ENTRYPOINT ["node", "/app/dist/tokenferry.mjs"]
CMD ["serve"]
