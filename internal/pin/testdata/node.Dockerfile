FROM node:22
RUN npm ci && npm ci --omit=dev && npm install && npm i --production
RUN npm install -g npm@latest typescript @angular/cli @angular/cli@17 typescript@5.4.5 --registry https://npm.example
RUN npm install github:a/b git+https://example.com/a.git#main a/b#aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ./local x.tgz https://example.com/x.tgz alias@npm:typescript@^5
RUN yarn && yarn install --frozen-lockfile && yarn global add typescript && yarn add --dev @angular/cli@17.0.0 && yarn build && yarn dlx typescript
RUN pnpm install && pnpm i --frozen-lockfile && pnpm add -g typescript@next && bun install && bun add typescript
RUN corepack enable && corepack prepare pnpm@latest --activate && corepack prepare yarn@4.2.2 --activate
RUN npx tsc && npx -y cowsay && npx --yes create-x@latest && npx -p typescript tsc && npm run build && npm update
