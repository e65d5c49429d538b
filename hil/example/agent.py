"""Somebody else's agent: it reads a distance sensor and a button, and publishes both. Twenty lines, and no promise."""

import sys

import paho.mqtt.client as mqtt
import serial
from gpiozero import Button
from paho.mqtt.enums import CallbackAPIVersion

host, port, device = sys.argv[1], int(sys.argv[2]), sys.argv[3]
client = mqtt.Client(CallbackAPIVersion.VERSION2)
client.connect(host, port)
client.loop_start()
button = Button(27)
button.when_pressed = lambda: client.publish("home/button", "pressed", qos=1)
client.publish("home/state", "ready", qos=1)
with serial.Serial(device, 9600) as line:
    while True:
        if line.read(1) == b"\xff":
            high, low, check = line.read(3)
            if (0xFF + high + low) & 0xFF == check:
                client.publish("home/distance", high << 8 | low, qos=1)
