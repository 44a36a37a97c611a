FROM a
RUN <<EOF
apt-get install curl
