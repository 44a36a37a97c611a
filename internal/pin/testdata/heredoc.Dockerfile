# syntax=docker/dockerfile:1.7@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
FROM debian:12
RUN <<EOF
set -e
apt-get update
apt-get install -y \
  curl \
  git # why
EOF
RUN <<-"END" bash
	apt-get install -y nginx
	END
RUN <<EOF
#!/usr/bin/env bash
pip install requests
EOF
RUN <<EOF
#!/usr/bin/env python3
import os
os.system("pip install requests")
EOF
RUN cat <<A > /a && apt-get install -y tzdata && bash <<'B'
apt-get install -y not-a-command
A
apt-get install -y ca-certificates
B
COPY <<EOF /x
apt-get install curl
EOF
RUN python3 <<EOF
print("apt-get install curl")
EOF
ONBUILD RUN <<EOF
apt-get install -y libc6
EOF
RUN cat <<EOF | sh
apt-get install -y piped
EOF
RUN apt-get install -y curl
