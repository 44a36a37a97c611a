ARG BASE=python:3.12-slim
ARG TAG=3.20
FROM ${BASE} AS build
RUN true
FROM ${BASE}
COPY --from=build /a /a
FROM alpine:${TAG}
ARG TAG
RUN echo $TAG
