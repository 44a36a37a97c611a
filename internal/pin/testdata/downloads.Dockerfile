FROM debian:12@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa AS run
RUN curl -fsSL https://get.example/install.sh | sh -s -- --yes && wget -qO- https://get.example/w.sh | sudo -E bash - && curl -sSL https://get.example/p.py | python3 -
RUN bash <(curl -s https://get.example/a.sh) && sh -c "$(wget -O - https://get.example/b.sh)" && eval "$(curl https://get.example/c.sh)" && . <(curl https://get.example/d.sh) && bash < <(curl https://get.example/e.sh)
RUN curl -fsSL https://get.example/x.sh -o x.sh && sh x.sh && curl https://user:secret@get.example/y?token=abc > y
RUN curl -s https://get.example/z | tar xz -C /opt && curl -fsSL https://get.example/key.gpg | gpg --dearmor -o /k.gpg && wget -q -O - https://get.example/k.asc | apt-key add -
RUN VERSION=$(curl -s https://api.github.com/repos/a/b/releases/latest | jq -r .tag_name) && curl -fsSLO https://github.com/a/b/releases/download/$VERSION/b
RUN curl -I https://get.example/ && curl -X POST -d x=1 https://get.example/ && curl -f http://localhost:8080/health && wget --spider https://get.example/ && curl https://get.example/shown && curl -so /dev/null https://get.example/
HEALTHCHECK CMD curl -f http://get.example/ || exit 1
FROM run AS checked
ARG SHA=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
RUN curl -fsSLo /tmp/a.tgz https://get.example/a.tgz && echo "$SHA  /tmp/a.tgz" | sha256sum -c - && curl -fsSLo /tmp/b.tgz https://get.example/b.tgz
RUN wget https://get.example/c.tgz
RUN echo "${SHA} *c.tgz" > sums && sha256sum --check sums
RUN curl -o d https://get.example/d && [ "$(sha256sum d | cut -d' ' -f1)" = "$SHA" ]
RUN curl -o e https://get.example/e && sha256sum e
FROM run AS weak
RUN curl -O https://get.example/f && md5sum -c f.md5
RUN curl -O https://raw.githubusercontent.com/a/b/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/x.sh
FROM run AS context
COPY sums.txt .
RUN curl -O https://get.example/g && sha256sum -c sums.txt
FROM run AS same
RUN curl -fO https://get.example/h.tgz && curl -fO https://get.example/h.tgz.sha256 && sha256sum -c h.tgz.sha256
FROM run AS signed
RUN curl -fsSLO "https://dist.example/dist/v20.0.0/node.tar.xz" && curl -fsSLO "https://dist.example/dist/v20.0.0/SHASUMS256.txt.asc" \
 && gpg --batch --decrypt --output SHASUMS256.txt SHASUMS256.txt.asc && grep " node.tar.xz\$" SHASUMS256.txt | sha256sum -c -
FROM run AS cosigned
RUN wget https://get.example/i && wget https://get.example/i.sig && cosign verify-blob --signature i.sig i
