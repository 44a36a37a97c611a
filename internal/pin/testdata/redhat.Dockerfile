FROM registry.example/ubi9/ubi-minimal:latest
RUN microdnf install -y --nodocs httpd openssl-3.0.7-27.el9 openssl && microdnf clean all
RUN dnf -y install httpd-2.4.57-8.el9.x86_64 httpd-2.4.57 java-17-openjdk java-17-openjdk-headless.x86_64 @development \
      https://rpm.example/pub/epel/epel-release-latest-9.noarch.rpm /tmp/own.rpm openssl-1:3.0.7-27.el9 \
 && dnf -y --setopt=tsflags=nodocs upgrade && dnf module install -y nodejs:20/common && yum groupinstall -y "Development Tools"
RUN yum update -y && yum --enablerepo=epel install -y httpd-${V}
RUN rpm -Uvh https://example.com/a.rpm && rpm -i /tmp/b.rpm && rpm --import https://example.com/key
FROM opensuse/leap:15.6
RUN zypper --non-interactive install --no-recommends httpd openssl=3.0.7-27.el9 'git>=2' httpd=2.4.57 pattern:devel_basis && zypper up -y
