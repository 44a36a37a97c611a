# escape=`
FROM registry.example/windows/servercore:ltsc2022
SHELL ["powershell", "-Command", "$ErrorActionPreference = 'Stop';"]
RUN Invoke-WebRequest https://example.com/x.exe -OutFile C:\x.exe; `
    Start-Process C:\x.exe
COPY --from=registry.example/dotnet/sdk:8.0 C:\dotnet C:\dotnet
ADD https://example.com/y.zip C:\y.zip
