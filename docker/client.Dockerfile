# The image of the polaris command, to run `polaris proxy` beside a program: Node,
# the reviewed sources of the SDK as they are, and its locked dependencies.
#
# DOCKERFILE=docker/client.Dockerfile docker/build.sh dist/client-image
# builds it reproducibly. Both bases can be replaced as in docker/Dockerfile.
ARG NODE_IMAGE=docker.io/library/node:24.21.0-trixie-slim@sha256:173f125896c3b47ddf056734c7ea789d04595a6a08769a8f78e0df642781fb66
ARG RUNTIME_IMAGE=gcr.io/distroless/nodejs24-debian13:nonroot@sha256:9eeb7f5887d0e239e78264b06f7f11d2e14be534050481803a9e4728fcdd278e

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY sdk/package.json sdk/
# With the optional packages of the SDK: policies that ask where something was
# built need them. The link to the workspace itself is of no use here, nor is
# what npm leaves of a tool that only builds.
RUN --mount=type=secret,id=npmrc,target=/run/secrets/npmrc \
    --mount=type=secret,id=ca,target=/run/secrets/ca \
    NPM_CONFIG_USERCONFIG=/run/secrets/npmrc NODE_EXTRA_CA_CERTS=/run/secrets/ca \
    npm ci --omit=dev --workspace=sdk --include-workspace-root=false --ignore-scripts --bin-links=false \
      --no-update-notifier --cache=/tmp/npm \
 && rm -r package.json package-lock.json .npmrc node_modules/.package-lock.json node_modules/@polaris-secure-proxy node_modules/base64-js \
 && find node_modules -depth \( -type f \( -name '*.map' -o -name '*.ts' -o -name '*.mts' -o -name '*.cts' \) -o -type d -empty \) -delete
COPY LICENSE ./
COPY lib/protocols lib/protocols
COPY sdk sdk
ARG SOURCE_DATE_EPOCH=0
RUN find . -type d -exec chmod 555 {} + \
 && find . -type f -exec chmod 444 {} + \
 && find . -exec touch --no-dereference --date=@${SOURCE_DATE_EPOCH} {} +

FROM ${RUNTIME_IMAGE}
COPY --from=build /app /app
USER 65532:65532
ARG REVISION=unknown
ARG SOURCE=unknown
ARG VERSION=unknown
ENV NODE_ENV=production
LABEL org.opencontainers.image.title="polaris" \
      org.opencontainers.image.description="Client of Polaris Secure Proxy: a local proxy that encrypts what any program sends, to keys that are proven" \
      org.opencontainers.image.licenses="AGPL-3.0-only" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}"
EXPOSE 8787
STOPSIGNAL SIGTERM
# A signal must not open Node's inspector, which could read what passes.
ENTRYPOINT ["/nodejs/bin/node", "--disable-sigusr1", "/app/sdk/cli/main.ts"]
CMD ["--help"]
