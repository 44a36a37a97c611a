FROM debian:12
# comment
RUN apt-get update && \
    apt-get install -y curl \
    # inner comment
    git
RUN <<EOF
apt-get install -y nginx
EOF
COPY --from=busybox:1.36 /a /a
