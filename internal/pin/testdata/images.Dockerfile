# escape=\
ARG REGISTRY=registry.example:5000
ARG VARIANT=alpine
ARG NODE=20
ARG SHARED=1.36
ARG NOTHING
FROM scratch AS empty
FROM ${REGISTRY}/shop/base:1.4 AS base
FROM node:${NODE}-${VARIANT} AS node
FROM busybox:${SHARED} AS one
FROM other:$SHARED AS two
FROM ${NOTHING}
FROM ${NOTHING:-ubuntu:24.04} AS fallback
FROM "debian:12" AS quoted
FROM python@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
FROM python:3@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
FROM python:3@sha256:short
FROM registry.example:5000/tool
FROM registry.example/gone:1
from Base as child
FROM debian:latest AS build-amd64
FROM debian:12 AS build-arm64
FROM build-${TARGETARCH} AS built
COPY --from=0 /a /a
COPY --from=BASE /a /a
COPY --from=build-amd64 --chown=1:1 /a /a
COPY --chown=1:1 --from=nginx:1.27 /etc/nginx /etc/nginx
COPY --from="redis:7" /a /a
COPY --link --from=registry.example/astral-sh/uv:0.4 /uv /bin/
RUN --mount=type=bind,from=base,target=/b --mount=from=golang,target=/go true
ONBUILD COPY --from=postgres:16 /a /a
ONBUILD RUN apt-get install -y curl
