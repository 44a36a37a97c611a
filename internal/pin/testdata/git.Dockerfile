FROM alpine/git:2.45.2@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
ARG COMMIT=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
RUN git clone https://example.com/a.git
RUN git clone --depth 1 -b v1.2 https://user:pw@example.com/b.git /b && cd /b && make
RUN git clone https://example.com/c.git c && cd c && git checkout $COMMIT
RUN git clone https://example.com/d.git && git -C d -c advice.detachedHead=false checkout v1 && git clone --revision=${COMMIT} https://example.com/e.git
RUN git clone git@example.com:f.git && git -C f reset --hard aaaaaaa && git -C f pull
RUN git clone /src/local && git config --global x y
ADD https://example.com/a.git /a
ADD https://example.com/a.git#v1:sub /a
ADD https://example.com/a.git#aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa /a
ADD --keep-git-dir=true git@example.com:a/b.git#main /a
ADD --checksum=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa https://example.com/a.git#v1 /a
ADD --checksum=sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa https://example.com/x.tgz /x
ADD ["https://example.com/with space", "local", "/x/"]
ADD local.tar.gz https://example.com/${COMMIT}/y https://github.com/a/b/archive/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.tar.gz /x/
