FROM debian:12
RUN ["apt-get", "install", "-y", "curl", "git=1:2.39.2-1.1"]
RUN [ "/bin/bash" , "-o", "pipefail", "-c", "apt-get install -y nginx && pip install 'requests>=2'" ]
RUN ["sh", "-c", "apt-get install -y \"tzdata\""]
RUN ["apt-get", "install", "$NOT_EXPANDED"]
RUN ["powershell", "-Command", "choco install x"]
RUN [ "apt-get", "install" "broken" ]
