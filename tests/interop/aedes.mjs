// aedes on two ports, MQTT and WebSocket, that refuses one topic. Arguments: the ports and the topic.
import { createServer } from "node:net";
import { createServer as createHttpServer } from "node:http";
import { Aedes } from "aedes";
import { WebSocketServer, createWebSocketStream } from "ws";

const [port, webPort, forbidden] = process.argv.slice(2);
const broker = await Aedes.createBroker();
broker.authorizePublish = (client, packet, done) =>
  done(packet.topic === forbidden ? new Error("not authorised") : null);
createServer(broker.handle).listen(Number(port), "127.0.0.1");
const web = createHttpServer().listen(Number(webPort), "127.0.0.1");
new WebSocketServer({ server: web }).on("connection", (socket, request) => {
  const stream = createWebSocketStream(socket);
  stream.on("error", () => {});
  broker.handle(stream, request);
});
