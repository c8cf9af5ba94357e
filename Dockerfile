# docker build -t tokenferry .
#   --build-arg REVISION=$(git rev-parse HEAD)     for the label of the image; CREATED too
#   --build-arg BASE=mirror.example/node:24-slim   another base image; it brings Node 24 and npm
#   --secret id=npmrc,src=$HOME/.npmrc             npm's settings, when packages come from a mirror; not kept in the image
#   --secret id=npmca,src=FILE                     certificates for a line "cafile=/etc/ssl/npm-ca.pem" in those settings
ARG BASE=node:24-slim

FROM ${BASE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# No install script runs (.npmrc): no Python and no compiler is needed, and the Node is that of the base image.
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc --mount=type=secret,id=npmca,target=/etc/ssl/npm-ca.pem \
    npm ci --no-audit --no-fund
COPY . .
# Left out of the result: development packages, the SQLite sources, binaries for other machines, types and source maps.
RUN node scripts/build.ts \
 && npm prune --omit=dev --offline --no-audit --no-fund \
 && node -e "require('better-sqlite3')(':memory:').close()" \
 && rm -rf node_modules/better-sqlite3/deps node_modules/better-sqlite3/src node_modules/openai/src \
 && find node_modules/better-sqlite3/prebuilds -type f ! -name "linux*-$(node -p process.arch).node" -delete \
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete

FROM ${BASE}
ENV NODE_ENV=production \
    TOKENFERRY_IMAGE=1 \
    TOKENFERRY_LIVEZ=http://127.0.0.1:8888/livez
COPY --from=build /build/package.json /build/config.sample.yaml /app/
COPY --from=build /build/node_modules /app/node_modules
COPY --from=build /build/dist /app/dist
# The only place that is written: records, when dbaddr is the default ./db.sqlite. The rest works read-only:
# docker run --read-only -v ferry-data:/data. A folder of the host mounted there must be writable for user 1000.
WORKDIR /data
RUN chown 1000:1000 /data
VOLUME /data
# By number, so that Kubernetes sees that it is not root (runAsNonRoot).
USER 1000:1000
EXPOSE 8888
STOPSIGNAL SIGTERM
# Another address or base_path: set TOKENFERRY_LIVEZ.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch(process.env.TOKENFERRY_LIVEZ).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# The configuration: /config.yaml, /data/config.yaml, or --config FILE.
ENTRYPOINT ["node", "/app/dist/tokenferry.mjs"]
CMD ["serve"]
# Last, so that another revision changes no layer.
ARG VERSION=0.1.0
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title=tokenferry \
      org.opencontainers.image.description="One stable OpenAI-compatible URL in front of LLM gateways whose access tokens live minutes." \
      org.opencontainers.image.licenses=MIT \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION} \
      org.opencontainers.image.created=${CREATED}
