# syntax=docker/dockerfile:1
FROM	debian:12	 AS   x
RUN	apt-get	install	-y	curl