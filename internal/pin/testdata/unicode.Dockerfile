FROM debian:12
LABEL maintainer="Zoë <zoë@example.com>" emoji="🚀"
RUN echo "größe 🚀" && apt-get install -y curl && pip install "requests" # ü
RUN $'apt-get' install -y $'cu\x72l' && "apt-get" ins''tall -y 'cu'rl \git && apt-get install -y ${CURL:-curl} "${GIT:-git}"
