// aedes on two ports, MQTT and WebSocket, that refuses one topic. Arguments: the ports and the topic; then, for TLS, the
// files of the authority, the certificate and its key.
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { createServer as createHttpServer } from "node:http";
import { Aedes } from "aedes";
import { WebSocketServer, createWebSocketStream } from "ws";

const [port, webPort, forbidden, ...papers] = process.argv.slice(2);
const broker = await Aedes.createBroker();
broker.authorizePublish = (client, packet, done) =>
  done(packet.topic === forbidden ? new Error("not authorised") : null);
const [ca, cert, key] = papers.map((path) => readFileSync(path));
const server = ca
  ? createTlsServer({ ca, cert, key, requestCert: true, rejectUnauthorized: true }, broker.handle)
  : createServer(broker.handle);
server.listen(Number(port), "127.0.0.1");
const web = createHttpServer().listen(Number(webPort), "127.0.0.1");
new WebSocketServer({ server: web }).on("connection", (socket, request) => {
  const stream = createWebSocketStream(socket);
  stream.on("error", () => {});
  broker.handle(stream, request);
});
