FROM debian:12
ARG PKGS="curl git"
RUN apt-get install -y $PKGS && apt-get purge -y $PKGS
ENV A=curl
ENV B=$A
RUN apt-get install -y $B
