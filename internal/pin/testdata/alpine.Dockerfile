FROM alpine:3.20
ARG BASH_VERSION
RUN apk add --no-cache bash curl~8.9 'tini>0.18' curl>8 "bash=5.2.26-r0" bash=$BASH_VERSION \
    --virtual .build-deps gcc musl-dev=1.2.5-r0 && apk del .build-deps
RUN apk --no-cache add -t .deps --repository=http://apk.example/alpine/edge/testing tini@testing bash=5.2.26-r0@edge \
    && apk upgrade --no-cache
RUN apk add -U --no-cache so:libssl.so.3 cmd:jq /bin/sh ./own.apk !busybox bash~=5
RUN set -eux; \
    # comment with 'quote
    apk add --no-cache \
        bash \

        # another
        tini \
    ; \
    rm -rf /var/cache
