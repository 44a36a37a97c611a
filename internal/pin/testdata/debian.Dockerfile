FROM debian:12@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
ARG CURL=curl
ARG NGINX_VERSION=1.22.1-9
ARG OUTSIDE
ENV TOOLS="git libc6:amd64" \
    UNUSED=x
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get -o Dpkg::Options::=--force-confold -yqq install \
	$CURL $TOOLS nginx=${NGINX_VERSION} tzdata=$OUTSIDE "ca-certificates" 'evil' && \
	apt-get upgrade -y; apt -y full-upgrade
RUN sudo -E apt-get install -y -t bookworm-backports php8.2-fpm=8.2.* git/bookworm gcc- ./local.deb /tmp/x.deb build-essential
RUN sh -c 'apt-get update && apt-get install -y tzdata' \
 && bash -euxo pipefail -c "apt-get install -y git" && \
    env A=b LANG=C nice -n 5 apt-get install nginx
RUN for p in curl tzdata; do apt-get install -y "$p"; done
RUN for p in curl tzdata; do apt-get install -y "$p=1"; done
RUN for once in curl tzdata; do apt-get install -y "$once"; done
RUN apt-get update && (apt-get install -y libc6:i386 || (sleep 5; apt-get install -y nonesuch))
RUN if [ -n "$X" ]; then apt-get install -y curl; elif true; then :; else apt-get install -y nginx; fi
RUN xargs -a packages.txt apt-get install -y
RUN cat packages.txt | xargs apt-get install -y --no-install-recommends
RUN apt-get install -y $(cat packages.txt) linux-headers-$(uname -r)
RUN apt-get build-dep -y nginx && aptitude install -y curl
RUN install_packages() { apt-get install -y "$@"; }; install_packages curl
RUN apt-get remove -y curl && apt-get purge git && apt-cache policy curl && apt-get -y autoremove
