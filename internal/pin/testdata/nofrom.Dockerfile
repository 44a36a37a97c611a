ARG A=1
RUN apt-get install curl
