FROM debian:12
ARG BASE_PKG=nginx
RUN sh -c "sh -c 'apt-get install -y curl' && bash -c \"apt-get install -y git\""
RUN su - www -c 'pip install requests' && su www --command="npm install -g typescript" && eval "apt-get install -y tzdata" && eval apt-get install ca-certificates
RUN set -ex; deps='libc6 git'; apt-get install -y $deps; V=1.22.1-9; apt-get install -y "$BASE_PKG=$V" nginx=${V%-*} nginx=${V}
RUN PKGS=(curl "git") && apt-get install -y "${PKGS[@]}" && timeout -s KILL 30 apt-get install -y tzdata && time apt-get install -y curl
RUN { apt-get update; apt-get install -y curl; } && while ! apt-get install -y git; do sleep 1; done && case "$(uname -m)" in x86_64) apt-get install -y nginx ;; *) exit 1 ;; esac
RUN [[ "$(curl -s https://example.com/a | sh)" == x ]] && echo "$(apt-get install -y tzdata)" && x=`pip install requests`
RUN gosu app pip install requests && chroot /mnt apt-get install -y curl && exec apt-get install -y git && command pip install requests
RUN apt-get install -y curl & wait; ! apt-get install -y git
