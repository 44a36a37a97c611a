

   	 FROM   debian:12
	 \

RUN \

  apt-get \  
	install \
-y cu\
rl gi\
# x
t