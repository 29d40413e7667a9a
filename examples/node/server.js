// An HTTP workload in Node.js: the standard library only.
"use strict";

const http = require("node:http");

const { env } = process;
const who =
  `${env.MESH_APP || "node"} ${env.MESH_VERSION || "unversioned"}, ` +
  `replica ${env.MESH_REPLICA || "alone"} on ${env.MESH_NODE || "this machine"}`;
const pages = new Map([
  ["/health", "ok\n"],
  ["/hello", `${env.GREETING || "hello"} from ${who}\n`],
]);

const server = http.createServer((request, response) => {
  const page = pages.get(request.url.split("?")[0]);
  const body = page ?? "not found\n";
  response.writeHead(page ? 200 : 404, {
    "content-type": "text/plain; charset=utf-8",
    "content-length": Buffer.byteLength(body),
  });
  response.end(body);
});

// `close` ends idle connections and lets open requests finish; then nothing keeps the process alive
process.on("SIGTERM", () => server.close());
server.listen(Number(env.PORT), "127.0.0.1", () => {
  console.log(`node listening on port ${server.address().port}`);
});
