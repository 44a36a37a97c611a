FROM debian:12
RUN if apt-get install -y curl; then
RUN echo "unclosed && apt-get install curl
RUN apt-get install -y curl
