FROM node:24-slim
WORKDIR /opt/incidents
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev && npm cache clean --force \
 && install -d -o node -g node /var/lib/incidents /var/lib/dpr /var/lib/analytics
COPY . .
USER node
ENV NODE_ENV=production STATE_DIR=/var/lib/incidents DPR_DIR=/var/lib/dpr ANALYTICS_DIR=/var/lib/analytics
VOLUME ["/var/lib/incidents", "/var/lib/dpr", "/var/lib/analytics"]
EXPOSE 8080 9400
ENTRYPOINT ["node", "cli.ts"]
CMD ["--help"]
