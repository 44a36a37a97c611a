# syntax=docker/dockerfile:1

# The shop's cart.
ARG PYTHON=3.12
ARG BASE=debian:bookworm-slim

FROM golang:1.22 AS tools
RUN go install golang.org/x/tools/cmd/goimports@latest && \
    go install github.com/golangci/golangci-lint/cmd/golangci-lint@v1.59.0

FROM --platform=$BUILDPLATFORM node AS web
WORKDIR /web
COPY package.json ./
RUN npm install
RUN npm install -g typescript@^5 esbuild@0.21.5

FROM python:${PYTHON} AS deps
COPY requirements.txt .
RUN pip install --upgrade pip \
 && pip install -r requirements.txt "uvicorn[standard]>=0.20,<1" 'requests'

FROM ${BASE}
ENV DEBIAN_FRONTEND=noninteractive
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates   \
        # for the health check
        curl=7.88.1-10+deb12u5 \
        tzdata \
    && rm -rf /var/lib/apt/lists/*
COPY --from=tools /go/bin/goimports /usr/local/bin/
COPY --from=busybox:1.36 /bin/busybox /bin/
RUN --mount=type=cache,target=/root/.cache --mount=type=bind,from=alpine:3.19,source=/etc,target=/mnt \
    curl -fsSL https://deb.example/setup_20.x | bash -
ADD https://example.com/tool.tar.gz /opt/
CMD ["/cart"]
