# syntax=docker/dockerfile:1.7@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
ARG BASE=debian:12@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
FROM ${BASE} AS build
ARG NGINX_VERSION=1.22.1-9
RUN apt-get update && apt-get install -y --no-install-recommends curl=7.88.1-10+deb12u8 nginx=${NGINX_VERSION} && rm -rf /var/lib/apt/lists/*
RUN apk add --no-cache tini=0.19.0-r3 && pip install --require-hashes -r requirements.txt && npm ci && npm install -g typescript@5.4.5
RUN go install golang.org/x/tools/cmd/goimports@v0.22.0 && cargo install --locked ripgrep@14.1.0 && gem install rails:7.1.3
ADD --checksum=sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa https://example.com/x /x
FROM scratch
COPY --from=build /x /x
USER 1000
ENTRYPOINT ["/x"]
