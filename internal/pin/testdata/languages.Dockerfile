FROM ruby:3.3
RUN gem install bundler rails:7.1.3 rails -v '~> 7.0' --no-document && gem install rails --version 7.1.3 && gem install bundler:'>2' && gem update --system && bundle install
RUN go install github.com/mikefarah/yq/v4@v4 && go install ./cmd/... && go install -ldflags "-s -w" golang.org/x/tools/cmd/goimports@master \
 && go get -u golang.org/x/tools && go get ./... && go run golang.org/x/tools/cmd/stringer@v0.22.0 -type=X && GOBIN=/b CGO_ENABLED=0 go install a.example/x@0123456789ab && go build ./...
RUN cargo install ripgrep --locked && cargo install ripgrep@14 --locked && cargo install --version '^14' ripgrep && cargo install ripgrep --version 14.1.0 \
 && cargo install --git https://example.com/x --tag v1 && cargo install --git https://example.com/x --rev aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa && cargo install --path . && cargo build --release
RUN composer install --no-dev && composer update && composer global require laravel/installer phpunit/phpunit:^11 a/b:1.2.3 && composer create-project laravel/laravel app 11.1.0 && composer create-project laravel/laravel app
RUN pecl install redis-6.0.2 xdebug apcu-beta && docker-php-ext-enable redis
