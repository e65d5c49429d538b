"""The yardstick: what one writes in an afternoon. Usage: paho_script.py PORT TOPIC DEVICE..."""

import json
import sys
import threading
import time

import paho.mqtt.client as mqtt
import serial
from paho.mqtt.enums import CallbackAPIVersion


def follow(path: str, client: mqtt.Client, topic: str) -> None:
    """Publish each line of a serial port."""
    name = path.rpartition("/")[2]
    line = b""
    with serial.Serial(path, 115200) as port:
        while True:
            line += port.read(port.in_waiting or 1)
            *lines, line = line.split(b"\n")
            for text in lines:
                if text.startswith(b"R"):
                    reading = {"device": name, "value": float(text[1:]), "time": time.time()}
                    client.publish(f"{topic}/{name}", json.dumps(reading), qos=1)


def main() -> None:
    """Read every port in a thread of its own."""
    broker, topic, *paths = sys.argv[1:]
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=topic)
    client.connect_async("127.0.0.1", int(broker))
    client.loop_start()
    for path in paths:
        threading.Thread(target=follow, args=(path, client, topic)).start()


if __name__ == "__main__":
    main()
